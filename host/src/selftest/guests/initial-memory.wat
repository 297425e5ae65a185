;; Wants 4 GiB before it runs.
(component
  (core module $m
    (memory 65536)
    (func (export "f")))
  (core instance $i (instantiate $m))
  (func $f (canon lift (core func $i "f")))
  (instance $converter
    (export "describe" (func $f))
    (export "probe" (func $f))
    (export "assets" (func $f))
    (export "convert" (func $f)))
  (export "kbhost:converter/converter@0.1.0" (instance $converter)))
