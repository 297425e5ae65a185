;; Two modules with a memory each, either within the limit, both together not.
(component
  (core module $m
    (memory 1100)
    (func (export "f")))
  (core instance $i (instantiate $m))
  (core instance $j (instantiate $m))
  (func $f (canon lift (core func $i "f")))
  (instance $converter
    (export "describe" (func $f))
    (export "probe" (func $f))
    (export "assets" (func $f))
    (export "convert" (func $f)))
  (export "kbhost:converter/converter@0.1.0" (instance $converter)))
