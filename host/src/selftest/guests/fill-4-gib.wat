;; Fills more memory than it has, in one instruction.
(component
  (core module $m
    (memory 1)
    (func $run (memory.fill (i32.const 0) (i32.const 1) (i32.const -1)))
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
