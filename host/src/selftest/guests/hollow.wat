;; A converter by name alone.
(component
  (instance $converter)
  (export "kbhost:converter/converter@0.1.0" (instance $converter)))
