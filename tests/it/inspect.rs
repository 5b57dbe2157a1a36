//! `wasmserve inspect` says what a component is.

use crate::harness::{finished, guest, wasmserve};

fn inspected(path: &str) -> (String, Option<i32>) {
    let mut command = wasmserve();
    command.args(["inspect", path]);
    let output = finished(command);
    (
        String::from_utf8(output.stdout).unwrap(),
        output.status.code(),
    )
}

#[test]
fn a_component_is_described() {
    let (text, status) = inspected("guests/hello/hello.wat");
    assert_eq!(status, Some(0));
    for line in [
        "targets wasi:http/proxy@0.2, served as WASI 0.2",
        "  wasi:http/incoming-handler@0.2.0",
        "wasi:http/types@0.2.0  offered",
    ] {
        assert!(text.contains(line), "no `{line}` in:\n{text}");
    }
    let (text, status) = inspected(&guest("service"));
    assert_eq!(status, Some(0), "{text}");
    assert!(text.contains("served as WASI 0.3"), "{text}");
}

#[test]
fn what_is_not_offered_is_told_from_what_is() {
    let path = format!("{}/inspected.wat", env!("CARGO_TARGET_TMPDIR"));
    let text = r#"(component
        (import "acme:widgets/gadget@1.2.0" (instance))
        (import "wasi:clocks/wall-clock@0.2.0" (instance)))"#;
    std::fs::write(&path, text).unwrap();
    let (text, status) = inspected(&path);
    assert_eq!(status, Some(3));
    assert!(text.contains("cannot be served"), "{text}");
    assert!(
        text.contains("acme:widgets/gadget@1.2.0     not offered"),
        "{text}"
    );
    assert!(
        text.contains("wasi:clocks/wall-clock@0.2.0  offered"),
        "{text}"
    );
}
