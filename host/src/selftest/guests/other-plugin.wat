;; Wants the functions of another plugin.
(component
  (import "kbhost:converter/converter@0.1.0" (instance))
  (instance $converter)
  (export "kbhost:converter/converter@0.1.0" (instance $converter)))
