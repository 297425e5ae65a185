;; Never gets through its start function.
(component
  (core module $m
    (func $run (loop $again (br $again)))
    (start $run)
    (func (export "f")))
  (core instance $i (instantiate $m))
  (func $f (canon lift (core func $i "f")))
  (instance $converter
    (export "describe" (func $f))
    (export "probe" (func $f))
    (export "assets" (func $f))
    (export "convert" (func $f)))
  (export "kbhost:converter/converter@0.1.0" (instance $converter)))
