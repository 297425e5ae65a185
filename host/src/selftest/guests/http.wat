;; Wants the network by a name that no world offers.
(component
  (import "wasi:http/outgoing-handler@0.2.0" (instance))
  (instance $converter)
  (export "kbhost:converter/converter@0.1.0" (instance $converter)))
