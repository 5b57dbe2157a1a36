//! Objects of a garbage collector, exceptions and typed references: none of it is restored, all of it is served.

use crate::harness::{Variant, always_answers, is_made_anew};

const LIST: &str = r#"
    (type $s (struct (field (mut i32)) (field (ref null $s))))
    (func $work (result i32) (local $head (ref null $s)) (local $n i32)
      (loop $more
        (local.set $head (struct.new $s (local.get $n) (local.get $head)))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $more (i32.lt_u (local.get $n) (i32.const 100000))))
      (struct.get $s 0 (local.get $head)))"#;

const ARRAY: &str = r#"
    (type $b (array (mut i8)))
    (func $work (result i32) (local $x (ref null $b))
      (local.set $x (array.new_default $b (i32.const 300)))
      (array.set $b (local.get $x) (i32.const 1) (i32.const 7))
      (array.get_u $b (local.get $x) (i32.const 1)))"#;

const MIXED: &str = r#"
    (type $a (array (mut (ref null any)))) (type $b (array (mut i8)))
    (table $unused 1 funcref)
    (func $sets (table.set $unused (i32.const 0) (ref.null func)))
    (func $work (result i32) (local $n i32) (local $x (ref null $a))
      (loop $more
        (local.set $x (array.new $a (ref.i31 (local.get $n))
          (i32.add (i32.const 3) (i32.rem_u (local.get $n) (i32.const 97)))))
        (array.set $a (local.get $x) (i32.const 1)
          (array.new_default $b (i32.add (i32.const 1) (i32.mul (local.get $n) (i32.const 37)))))
        (drop (ref.cast (ref $b) (array.get $a (local.get $x) (i32.const 1))))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $more (i32.lt_u (local.get $n) (i32.const 900))))
      (local.get $n))"#;

const KEPT: &str = r#"
    (type $s (struct (field (mut i32))))
    (global $kept (mut (ref null $s)) (ref.null $s))
    (func $work (result i32)
      (if (ref.is_null (global.get $kept)) (then
        (global.set $kept (struct.new $s (i32.const 40)))))
      (i32.add (struct.get $s 0 (global.get $kept)) (i32.const 2)))"#;

const EXCEPTIONS: &str = r#"
    (tag $e (param i32))
    (func $throws (param i32) (throw $e (local.get 0)))
    (func $work (result i32) (local $n i32)
      (loop $more
        (block $caught (result i32)
          (try_table (catch $e $caught) (call $throws (local.get $n))) (i32.const 0))
        (drop)
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $more (i32.lt_u (local.get $n) (i32.const 2000))))
      (local.get $n))"#;

const REFERENCES: &str = r#"
    (type $f (func (param i32) (result i32)))
    (func $double (type $f) (i32.mul (local.get 0) (i32.const 2)))
    (elem declare func $double)
    (func $work (result i32)
      (call_ref $f (i32.const 21) (ref.func $double)))"#;

/// Guards against a heap of objects that is restored behind the collector's back (the worker aborted, trapped or died
/// of a signal), and against a pool without a place for it (it did not start): with a fresh instance for each
/// request, with one for several, and in a component that is large.
#[test]
fn garbage_collected_objects_and_exceptions_work_in_each_request() {
    const OBJECTS: &str = "it has types of garbage-collected objects";
    for (name, declarations, number, why) in [
        ("list", LIST, 99_999, OBJECTS),
        ("array", ARRAY, 7, OBJECTS),
        ("mixed", MIXED, 900, OBJECTS),
        ("kept", KEPT, 42, OBJECTS),
        (
            "exceptions",
            EXCEPTIONS,
            2000,
            "it throws or catches exceptions",
        ),
        (
            "references",
            REFERENCES,
            42,
            "it uses CallRef, which is not known to leave no state",
        ),
    ] {
        let variant = |more: &str| {
            let declarations = [declarations, more].concat();
            Variant {
                declarations: &declarations,
                before: "(call $hex (call $work))",
                ..Variant::default()
            }
            .write(name)
        };
        let path = variant("");
        is_made_anew(&path, why);
        for options in [&[][..], &["--reuse", "50"], &["--limit-concurrency", "1"]] {
            always_answers(&path, options, number);
        }
        let large = format!("(data \"{}\")", "large".repeat(1 << 20));
        let path = variant(&large);
        is_made_anew(&path, why);
        always_answers(&path, &[], number);
    }
}
