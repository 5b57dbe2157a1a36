//! These tests show which composed components are restored, and what is added to them.

use super::super::tests::{PLAIN, exports, instrumented};
use super::super::{SAVE, part_name};
use anyhow::Result;
use wasmparser::{Validator, WasmFeatures};

/// A component of two others: each counts, and the later one has what the first one exports.
fn of_two(between: &str, outermost: &str) -> Result<Vec<u8>> {
    instrumented(&format!(
        r#"(component
             (import "r" (type $r (sub resource)))
             (component $first
               (import "r" (type $r (sub resource)))
               (core module $m (memory 1) (global (mut i32) (i32.const 1))
                 (func (export "f") (param i32)))
               (core instance $m (instantiate $m))
               (func $f (param "a" {between}) (canon lift (core func $m "f")))
               (instance $i (export "f" (func $f)))
               (export "a:b/i" (instance $i)))
             (component $second
               (import "r" (type $r (sub resource)))
               (import "a:b/i" (instance (export "f" (func (param "a" {between})))))
               (core module $m (memory 1) (global (mut i64) (i64.const 1)))
               (core instance (instantiate $m)))
             (instance $first (instantiate $first (with "r" (type $r))))
             (alias export $first "a:b/i" (instance $i))
             {outermost})"#
    ))
}

const SECOND: &str =
    r#"(instance $second (instantiate $second (with "r" (type $r)) (with "a:b/i" (instance $i))))"#;

#[test]
fn each_part_of_a_composed_component_is_restored() {
    let component = of_two("(own $r)", SECOND).unwrap();
    Validator::new_with_features(WasmFeatures::all())
        .validate_all(&component)
        .unwrap();
    let outermost = exports(&component);
    for part in [0, 1] {
        for own in PLAIN {
            assert!(outermost.contains(&part_name(own, part)), "{own} {part}");
        }
    }
    assert!(!outermost.contains(&part_name(SAVE, 2)));
}

/// Guards against parts that have state which nobody knows of, and against numbers of handles that nobody puts in order.
#[test]
fn parts_that_are_not_known_to_be_restored_are_a_refusal() {
    let refusal =
        |between: &str, outermost: &str| format!("{:#}", of_two(between, outermost).unwrap_err());
    assert_eq!(
        refusal("(borrow $r)", SECOND),
        "its components lend each other resources"
    );
    let twice = [
        SECOND,
        &SECOND.replace("(instance $second", "(instance $again"),
    ]
    .concat();
    let not_one = "it has components inside of which there is not one instance each";
    assert_eq!(refusal("(own $r)", &twice), not_one);
    assert_eq!(refusal("(own $r)", ""), not_one);
    let nested = SECOND.replace("(instance $i)", "(instance $nested)");
    let nested = format!(
        "(instance $nested (export \"i\" (instance $i)) (export \"f\" (func $i \"f\"))) {nested}"
    );
    assert_eq!(
        refusal("(own $r)", &nested),
        "its components give each other something beside interfaces"
    );
    let ours = [SECOND, "(export \"wasmserve-save-p0\" (instance $i))"].concat();
    assert_eq!(
        refusal("(own $r)", &ours),
        "it has exports of the names that are added here"
    );
    let resource = [SECOND, "(type (resource (rep i32)))"].concat();
    assert_eq!(
        refusal("(own $r)", &resource),
        "it has resources of its own"
    );
    let built_in = [SECOND, "(core func (canon resource.drop $r))"].concat();
    assert_eq!(
        refusal("(own $r)", &built_in),
        "it has a section that is not known here"
    );
    let code_free =
        "(component (import \"r\" (type $r (sub resource))) (core func (canon resource.drop $r)))";
    assert_eq!(
        refusal("(own $r)", &[SECOND, code_free].concat()),
        "it has components with functions of their own inside"
    );
}
