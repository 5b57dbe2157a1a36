(component
  (core module $m
    (type $s (struct (field (mut i32))))
    (global $g (mut (ref null $s)) (ref.null $s))
    (func (export "f") (result i32)
      (global.set $g (struct.new $s (i32.const 1)))
      (struct.get $s 0 (global.get $g))))
  (core instance $i (instantiate $m))
  (func (export "f") (result u32) (canon lift (core func $i "f"))))
