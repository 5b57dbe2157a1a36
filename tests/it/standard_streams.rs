//! What a guest prints costs it no instance: the standard streams that it has open are closed after a request, or opened
//! anew where its snapshot has them, and none is taken for another.

use crate::harness::{RESTORED, Server, Variant, Watched, eventually, freshness, get, guest};

/// The text that a guest prints is eight digits, at address 320, and a line end.
const TEXT: &str = r#"(data (i32.const 328) "\n")
    (func $print (param $stream i32) (param $number i32)
      (call $hex (local.get $number))
      (memory.copy (i32.const 320) (i32.const 0) (i32.const 8))
      (call $write-and-flush (local.get $stream) (i32.const 320) (i32.const 9) (i32.const 256)))"#;

/// A guest that opens standard output and standard error as it likes.
fn printing(name: &str, globals: &str, before: &str) -> String {
    let interface = |name: &str| {
        format!(
            r#"(import "wasi:cli/{name}@0.2.0" (instance ${name}
                 (alias outer 1 $output-stream (type $of-streams))
                 (export "output-stream" (type $stream (eq $of-streams)))
                 (export "get-{name}" (func (result (own $stream))))))
               (core func $open-{name} (canon lower (func ${name} "get-{name}")))"#
        )
    };
    let variant = Variant {
        component: &[interface("stdout"), interface("stderr")].concat(),
        imports: r#"(import "host" "open-stdout" (func $stdout (result i32)))
                    (import "host" "open-stderr" (func $stderr (result i32)))"#,
        exports: r#"(export "open-stdout" (func $open-stdout)) (export "open-stderr" (func $open-stderr))"#,
        declarations: &format!("(global $count (mut i32) (i32.const 0)) {globals} {TEXT}"),
        before: &format!(
            "(global.set $count (i32.add (global.get $count) (i32.const 1))) {before}"
        ),
    };
    variant.write(name)
}

const BOTH: &str = "(global $out (mut i32) (i32.const 0)) (global $err (mut i32) (i32.const 0))";

/// Opens both when the instance answers for the first time, and prints a number into each, which it answers with too:
/// how often it has answered, and the numbers of the handles.
const OPENED_ONCE: &str = "
    (if (i32.eqz (global.get $out)) (then
      (global.set $out (call $stdout)) (global.set $err (call $stderr))))
    (call $print (global.get $out) (i32.or (i32.const 0x0a000000) (global.get $count)))
    (call $print (global.get $err) (i32.or (i32.const 0x0b000000) (global.get $count)))
    (call $hex (i32.or (i32.shl (global.get $count) (i32.const 16))
      (i32.or (i32.shl (global.get $out) (i32.const 8)) (global.get $err))))";

const KEPT: &str = "wasmserve_instances_dropped_total{reason=\"kept_resources\"}";

/// Asks so often, one after the other; the answers are all the same.
fn always(server: &Server, times: usize) -> String {
    let mut connection = server.connect();
    let mut ask = || {
        let response = connection.get("/").response().unwrap();
        assert_eq!(response.status, 200, "{}", server.printed());
        response.text()[..8].to_owned()
    };
    let first = ask();
    for _ in 1..times {
        assert_eq!(ask(), first);
    }
    first
}

/// The pool has put instances back, and has dropped none because of what it had open.
fn is_put_back(watched: &Watched) {
    eventually("instances are put back", || {
        watched.metric("wasmserve_instances_restored_total") > 0.0
    });
    assert_eq!(watched.metric(KEPT), 0.0);
}

#[test]
fn a_guest_that_prints_is_put_back() {
    let path = printing("prints", BOTH, OPENED_ONCE);
    assert_eq!(freshness(&path), RESTORED);
    let watched = Server::component(&path).arg("--no-access-log").watched();
    assert_eq!(
        always(&watched.server, 20),
        "00010103",
        "{}",
        watched.server.printed()
    );
    is_put_back(&watched);
    watched.server.wait_for("0a000001");
    let line = watched.server.wait_for("0b000001");
    assert!(line.contains("[guest "), "{line}");
    // What Rust's standard library makes of it.
    let watched = Server::component(guest("behaviours"))
        .arg("--no-access-log")
        .watched();
    for _ in 0..20 {
        assert_eq!(get(watched.server.address, "/stdio?text=x").status, 200);
    }
    is_put_back(&watched);
}

#[test]
fn streams_that_are_open_in_a_snapshot_are_open_in_each_instance() {
    let path = printing("primed-streams", BOTH, OPENED_ONCE);
    let watched = Server::component(&path)
        .arg("--prime=/")
        .arg("--no-access-log")
        .watched();
    let server = &watched.server;
    assert!(server.printed().contains("Primed "), "{}", server.printed());
    assert_eq!(always(server, 20), "00020103");
    is_put_back(&watched);
    // Each goes where it went before.
    let line = server.wait_for("0a000002");
    assert!(line.starts_with("INFO"), "{line}");
    let line = server.wait_for("0b000002");
    assert!(line.starts_with("ERROR"), "{line}");
}

/// The handle of one stream is not taken for that of another, however a request closes and opens them.
#[test]
fn streams_that_a_request_exchanges_are_not_those_of_the_next() {
    let exchanged = "(if (i32.gt_u (global.get $count) (i32.const 1)) (then
        (call $drop-stream (global.get $err)) (call $drop-stream (global.get $out))
        (global.set $err (call $stderr)) (global.set $out (call $stdout))))";
    let closed = "(if (i32.gt_u (global.get $count) (i32.const 1)) (then
        (call $drop-stream (global.get $err)) (global.set $err (call $stdout))))";
    let more = "(if (i32.gt_u (global.get $count) (i32.const 1)) (then
        (drop (call $stdout)) (drop (call $stderr)) (drop (call $stdout))))";
    for (name, change, handles) in [
        ("exchanged", exchanged, "00020301"),
        ("closed", closed, "00020103"),
        ("more", more, "00020103"),
    ] {
        let path = printing(name, BOTH, &format!("{OPENED_ONCE} {change} {ANSWER}"));
        let server = Server::component(&path).arg("--prime=/").start();
        assert!(server.printed().contains("Primed "), "{}", server.printed());
        assert_eq!(always(&server, 10), handles, "{name}");
        let printed = server.printed();
        let wrong = printed.lines().find(|line| {
            let out = line.contains("0a0000") && !line.starts_with("INFO");
            out || line.contains("0b0000") && !line.starts_with("ERROR")
        });
        assert_eq!(wrong, None, "{name}");
    }
}

const ANSWER: &str = "(call $hex (i32.or (i32.shl (global.get $count) (i32.const 16))
      (i32.or (i32.shl (global.get $out) (i32.const 8)) (global.get $err))))";
