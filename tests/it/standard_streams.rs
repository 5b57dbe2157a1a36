//! What a guest prints costs it no instance: the standard streams that it has open are closed after a request, or opened
//! anew where its snapshot has them, and none is taken for another.

use crate::harness::{
    RESTORED, Server, Upstream, Variant, Watched, eventually, freshness, get, guest, write,
};
use std::fs;

/// The text that a guest prints is eight digits, at address 320, and a line end.
const TEXT: &str = r#"(data (i32.const 328) "\n")
    (func $print (param $stream i32) (param $number i32)
      (call $hex (local.get $number))
      (memory.copy (i32.const 320) (i32.const 0) (i32.const 8))
      (call $write-and-flush (local.get $stream) (i32.const 320) (i32.const 9) (i32.const 256)))"#;

/// A guest that opens standard output and standard error as it likes.
fn printing(name: &str, globals: &str, before: &str) -> String {
    printing_to("$output-stream", "0", "", name, globals, before)
}

/// The same with another version of the streams' interface: this is the type there, and how to come by it.
fn printing_to(
    ty: &str,
    version: &str,
    component: &str,
    name: &str,
    globals: &str,
    before: &str,
) -> String {
    let interface = |name: &str| {
        format!(
            r#"(import "wasi:cli/{name}@0.2.{version}" (instance ${name}
                 (alias outer 1 {ty} (type $of-streams))
                 (export "output-stream" (type $stream (eq $of-streams)))
                 (export "get-{name}" (func (result (own $stream))))))
               (core func $open-{name} (canon lower (func ${name} "get-{name}")))"#
        )
    };
    let variant = Variant {
        component: &[
            component,
            DROP_FIELDS,
            &interface("stdout"),
            &interface("stderr"),
        ]
        .concat(),
        imports: r#"(import "host" "open-stdout" (func $stdout (result i32)))
                    (import "host" "open-stderr" (func $stderr (result i32)))
                    (import "host" "drop-fields" (func $drop-fields (param i32)))"#,
        exports: r#"(export "open-stdout" (func $open-stdout)) (export "open-stderr" (func $open-stderr))
                    (export "drop-fields" (func $drop-fields))"#,
        declarations: &format!("(global $count (mut i32) (i32.const 0)) {globals} {TEXT}"),
        before: &format!(
            "(global.set $count (i32.add (global.get $count) (i32.const 1))) {before}"
        ),
    };
    variant.write(name)
}

const DROP_FIELDS: &str = r#"
    (alias export $http "fields" (type $dropped-fields))
    (core func $drop-fields (canon resource.drop $dropped-fields))"#;

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

/// Has the guest do so when it has given the head of its answer, and not before.
fn later(path: &str, name: &str, what: &str) -> String {
    let text = fs::read_to_string(path).unwrap();
    let answers = "      (call $write (local.get $body) (i32.const 256))";
    assert_eq!(text.matches(answers).count(), 1);
    write(name, &text.replace(answers, &format!("{what}\n{answers}")))
}

/// The handle of the response is given up after that of the outparam, by the guest and by the host: a stream that gets
/// one of these numbers is found under it.
#[test]
fn a_guest_that_prints_when_it_has_answered_is_put_back() {
    let path = later(
        &printing("prints-later-head", BOTH, ""),
        "prints-later",
        OPENED_ONCE,
    );
    for (options, answer) in [(&[][..], "00010102"), (&["--prime=/"], "00020102")] {
        let watched = Server::component(&path)
            .args(options)
            .arg("--no-access-log")
            .watched();
        assert_eq!(always(&watched.server, 20), answer);
        is_put_back(&watched);
        let line = watched.server.wait_for("0a0000");
        assert!(line.starts_with("INFO"), "{line}");
        let line = watched.server.wait_for("0b0000");
        assert!(line.starts_with("ERROR"), "{line}");
    }
}

/// Opens ten handles before the streams, and gives them up after.
const HIGH: &str = "
    (if (i32.eqz (global.get $out)) (then
      (loop $more
        (call $fields (i32.const 128) (i32.const 2) (i32.const 256))
        (i32.store (i32.add (i32.const 400) (i32.shl (local.get $body) (i32.const 2))) (call $value))
        (local.set $body (i32.add (local.get $body) (i32.const 1)))
        (br_if $more (i32.lt_u (local.get $body) (i32.const MANY))))
      (global.set $out (call $stdout)) (global.set $err (call $stderr))
      (loop $less
        (local.set $body (i32.sub (local.get $body) (i32.const 1)))
        (call $drop-fields (i32.load (i32.add (i32.const 400)
          (i32.shl (local.get $body) (i32.const 2)))))
        (br_if $less (local.get $body)))))";

/// A request has fewer handles than these have numbers.
#[test]
fn streams_that_were_opened_after_much_else_are_open_in_each_instance() {
    let high = |name: &str, many: &str| {
        let before = [&HIGH.replace("MANY", many), OPENED_ONCE].concat();
        printing(name, BOTH, &before)
    };
    let watched = Server::component(high("high-streams", "10"))
        .arg("--prime=/")
        .arg("--no-access-log")
        .watched();
    let server = &watched.server;
    assert!(server.printed().contains("Primed "), "{}", server.printed());
    assert_eq!(always(server, 20), "00020c0d");
    is_put_back(&watched);
    let server = Server::component(high("highest-streams", "70"))
        .arg("--prime=/")
        .start();
    assert_eq!(always(&server, 3), "00014849");
    let why = "a standard stream was opened while 63 and more other things of the host were open";
    let printed = server.printed();
    let line = printed.lines().find(|line| line.contains("is not primed"));
    assert!(line.is_some_and(|line| line.ends_with(why)), "{printed}");
}

#[test]
fn a_guest_that_opens_its_streams_too_often_is_not_primed_and_is_told_why() {
    let nine = "(drop (call $stdout))".repeat(9);
    let before = format!("{nine} {OPENED_ONCE}");
    let server = Server::component(printing("nine-streams", BOTH, &before))
        .arg("--prime=/")
        .start();
    let printed = server.printed();
    let line = printed.lines().find(|line| line.contains("is not primed"));
    let why = "it has opened its standard streams 11 times, and may have 8 of them open";
    assert!(line.is_some_and(|line| line.ends_with(why)), "{printed}");
    always(&server, 3);
}

/// Toolchains make components whose adapter imports another version than the program does.
#[test]
fn a_guest_with_two_versions_of_streams_is_put_back() {
    let component = r#"
      (import "wasi:io/streams@0.2.6" (instance $streams-6
        (export "output-stream" (type (sub resource)))))
      (alias export $streams-6 "output-stream" (type $output-stream-6))"#;
    let opened = "(if (i32.eqz (global.get $out)) (then
          (global.set $out (call $stdout)) (global.set $err (call $stderr))))
        (call $hex (i32.or (i32.shl (global.get $count) (i32.const 16))
          (i32.or (i32.shl (global.get $out) (i32.const 8)) (global.get $err))))";
    let path = printing_to(
        "$output-stream-6",
        "6",
        component,
        "two-versions",
        BOTH,
        opened,
    );
    for (options, answer) in [(&[][..], "00010103"), (&["--prime=/"], "00020103")] {
        let watched = Server::component(&path)
            .args(options)
            .arg("--no-access-log")
            .watched();
        assert_eq!(always(&watched.server, 20), answer);
        is_put_back(&watched);
    }
}

/// The options of a request are given up with it.
#[test]
fn a_guest_that_asks_others_with_options_is_put_back() {
    let upstream = Upstream::friendly();
    let authority = upstream.address.to_string();
    let watched = Server::component(guest("behaviours"))
        .option("--allow-http", format!("http://{authority}"))
        .arg("--no-access-log")
        .watched();
    let path = format!("/outbound?authority={authority}&connect=10000");
    let denied = "/outbound?authority=127.0.0.1:1&connect=10000";
    for path in [&path[..], denied, &path, denied, &path] {
        assert_eq!(get(watched.server.address, path).status, 200);
    }
    is_put_back(&watched);
}
