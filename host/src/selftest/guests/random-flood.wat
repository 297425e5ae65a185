;; Asks for all the randomness there is.
(component
  (import "wasi:random/random@0.2.0" (instance $random
    (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))
  (core module $memory
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (unreachable)))
  (core instance $memory (instantiate $memory))
  (core func $bytes
    (canon lower (func $random "get-random-bytes")
      (memory (core memory $memory "memory"))
      (realloc (core func $memory "realloc"))))
  (core module $m
    (import "host" "bytes" (func $bytes (param i64 i32)))
    (func $run (call $bytes (i64.const -1) (i32.const 0)))
    (start $run)
    (func (export "f")))
  (core instance $i
    (instantiate $m (with "host" (instance (export "bytes" (func $bytes))))))
  (func $f (canon lift (core func $i "f")))
  (instance $converter
    (export "describe" (func $f))
    (export "probe" (func $f))
    (export "assets" (func $f))
    (export "convert" (func $f)))
  (export "kbhost:converter/converter@0.1.0" (instance $converter)))
