;; Two tables of ten million entries: each alone is within the limit of memory.
(component
  (core module $m
    (table 10000000 funcref)
    (table 10000000 funcref)
    (func (export "f")))
  (core instance $i (instantiate $m))
  (func $f (canon lift (core func $i "f")))
  (instance $converter
    (export "describe" (func $f))
    (export "probe" (func $f))
    (export "assets" (func $f))
    (export "convert" (func $f)))
  (export "kbhost:converter/converter@0.1.0" (instance $converter)))
