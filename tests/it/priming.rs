//! Each request's instance begins where one was after the application had started, and where it cannot, it begins as
//! before.

use crate::harness::{
    HELLO, Server, Variant, always_answers, finished, get, guest, made_anew, root, wasmserve, write,
};
use nix::sys::signal::Signal;
use std::fs;
use std::process::Output;

const COUNTING: &str = "(global.set $count (i32.add (global.get $count) (i32.const 1)))
                        (call $hex (global.get $count))";

/// Counts the requests of its instance.
fn counter(name: &str) -> String {
    let variant = Variant {
        declarations: "(global $count (mut i32) (i32.const 0))",
        before: COUNTING,
        ..Variant::default()
    };
    variant.write(name)
}

/// A component that is told when it is to start and when the snapshot is taken: `start` and `settle` are the bodies of
/// functions, and give zero or the place of an error of 5 bytes.
fn told(name: &str, start: &str, settle: &str) -> String {
    with_more(name, start, settle, "", "")
}

/// The same with more fields, and with more to do for each request.
fn with_more(name: &str, start: &str, settle: &str, fields: &str, before: &str) -> String {
    let declarations = format!(
        r#"(global $count (mut i32) (i32.const 0)) {fields}
           (data (i32.const 512) "\01\00\00\00\10\02\00\00\05\00\00\00" "\00\00\00\00no db")
           (data (i32.const 600) "\00")
           (func (export "start") (result i32) {start})
           (func (export "settle") (result i32) {settle})"#
    );
    let variant = Variant {
        declarations: &declarations,
        before: &format!("{before} {COUNTING}"),
        ..Variant::default()
    };
    let text = fs::read_to_string(variant.write(name)).unwrap();
    let exports = r#"
      (alias core export $program "start" (core func $start))
      (alias core export $program "settle" (core func $settle))
      (type $told (func (result (result (error string)))))
      (func $start (type $told) (canon lift (core func $start) (memory $m)))
      (func $settle (type $told) (canon lift (core func $settle) (memory $m)))
      (instance $lifecycle (export "start" (func $start)) (export "settle" (func $settle)))
      (export "wasmserve:lifecycle/application@0.1.0" (instance $lifecycle)))"#;
    let whole = text.trim_end().strip_suffix(')').unwrap();
    write(name, &format!("{whole}{exports}"))
}

const WELL: &str = "(i32.const 600)";
const ERROR: &str = "(i32.const 512)";

/// A server that does not start.
fn refused(arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = wasmserve();
    command.args(arguments).args(["--port", "0"]);
    let Output { status, stderr, .. } = finished(command);
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[test]
fn each_request_begins_after_the_requests_that_prime() {
    let path = counter("primed");
    always_answers(&path, &["--prime", "/", "--prime", "HEAD /any"], 3);
    let workers = [
        "--prime",
        "/",
        "--workers",
        "2",
        "--limit-max-requests",
        "7",
    ];
    always_answers(&path, &workers, 2);
    always_answers(&path, &["--prime", "/", "--no-prime"], 1);
}

/// The engine has to learn that a memory is larger than it was made, and what is beyond is a copy of the snapshot's.
#[test]
fn memory_that_priming_has_grown_is_there_and_belongs_to_one_request() {
    let variant = Variant {
        declarations: "(global $size (mut i32) (i32.const 0))",
        before: "(if (i32.eqz (global.get $size)) (then
                   (drop (memory.grow (i32.const 20)))
                   (global.set $size (memory.size))
                   (memory.fill (i32.const 65536) (i32.const 1) (i32.const 1310720))))
                 (i32.store8 (i32.const 1000000)
                   (i32.add (i32.load8_u (i32.const 1000000)) (i32.const 1)))
                 (call $hex (i32.add
                   (i32.shl (memory.size) (i32.const 8))
                   (i32.load8_u (i32.const 1000000))))",
        ..Variant::default()
    };
    let path = variant.write("grown");
    always_answers(&path, &["--prime", "/"], 0x1503);
    always_answers(&path, &["--prime", "/", "--max-memory", "2MiB"], 0x1503);
}

#[test]
fn globals_of_every_type_are_primed() {
    let variant = Variant {
        declarations: "(global $long (mut i64) (i64.const 1)) (global $float (mut f32) (f32.const 1))
                       (global $double (mut f64) (f64.const 1))
                       (global $vector (mut v128) (v128.const i64x2 1 1))",
        before: "(global.set $long (i64.add (global.get $long) (i64.const 0x100000000)))
                 (global.set $float (f32.add (global.get $float) (f32.const 0.5)))
                 (global.set $double (f64.add (global.get $double) (f64.const 0.25)))
                 (global.set $vector (i64x2.add (global.get $vector) (v128.const i64x2 2 3)))
                 (call $hex (i32.add (i32.add
                   (i32.wrap_i64 (i64.shr_u (global.get $long) (i64.const 32)))
                   (i32.trunc_f32_u (f32.mul (global.get $float) (f32.const 32))))
                   (i32.add
                     (i32.trunc_f64_u (f64.mul (global.get $double) (f64.const 1024)))
                     (i32.wrap_i64 (i64.shl (i64x2.extract_lane 1 (global.get $vector)) (i64.const 16))))))",
        ..Variant::default()
    };
    let after_two = 2 + 64 + 1536 + (7 << 16);
    always_answers(&variant.write("globals"), &["--prime", "/"], after_two);
}

#[test]
fn a_component_that_wants_to_know_is_told_once_when_it_starts_and_when_it_is_kept() {
    let counted = |by: u32| {
        format!("(global.set $count (i32.add (global.get $count) (i32.const {by}))) {WELL}")
    };
    let path = told("told", &counted(0x10), &counted(0x100));
    always_answers(&path, &[], 0x111);
    always_answers(&path, &["--prime", "/", "--workers", "2"], 0x112);
    always_answers(&path, &["--no-prime"], 1);
}

/// Where nothing is primed the worker asks, and its instance goes on from there where it may be kept.
#[test]
fn what_was_not_primed_is_told_to_start_by_each_worker() {
    let start = format!("(global.set $count (i32.const 16)) {WELL}");
    let path = told("told-by-worker", &start, WELL);
    let server = Server::component(&path).arg("--reuse=3").start();
    // The instance that was asked answers three requests; the next one starts with its first.
    for count in [17, 18, 19, 1] {
        let answer = get(server.address, "/").text();
        assert!(answer.starts_with(&format!("{count:08x}")), "{answer}");
    }
    let fails = told("not-started-by-worker", ERROR, WELL);
    let traps = told("trapped-in-worker", "unreachable", WELL);
    for options in [&["--no-prime"][..], &["--reuse", "3"]] {
        let (status, printed) = refused(&[&[&*fails], options].concat());
        assert_eq!(status, Some(3), "{printed}");
        assert!(printed.contains("does not start: no db"), "{printed}");
        assert!(!printed.contains("running on"), "{printed}");
        let (status, printed) = refused(&[&[&*traps], options].concat());
        assert_eq!(status, Some(3), "{printed}");
        assert!(!printed.contains("running on"), "{printed}");
    }
}

#[test]
fn an_application_that_does_not_start_ends_the_server_with_its_own_words() {
    let path = told("start-fails", ERROR, WELL);
    let (status, printed) = refused(&[&path]);
    assert_eq!(status, Some(3), "{printed}");
    assert!(printed.contains("startup failed: no db"), "{printed}");
    assert!(!printed.contains("running on"), "{printed}");
    let (status, printed) = refused(&[&told("start-traps", "unreachable", WELL)]);
    assert_eq!(status, Some(3), "{printed}");
    let last = printed.lines().last().unwrap();
    assert!(
        last.ends_with(
            "startup failed: the guest trapped: wasm trap: wasm `unreachable` instruction executed"
        ),
        "{printed}"
    );
    let path = told("start-never-ends", "(loop $on (br $on)) unreachable", WELL);
    let (status, printed) = refused(&[&path, "--timeout-worker-startup", "1s"]);
    assert_eq!(status, Some(3), "{printed}");
    assert!(
        printed.contains("--timeout-worker-startup (1 s)"),
        "{printed}"
    );
}

/// Words without end would be kept in memory, and written to the log, by each process on their way.
#[test]
fn very_long_last_words_are_cut() {
    let (length, at) = (30 << 20, 1 << 16);
    let start = format!(
        "(drop (memory.grow (i32.const 500)))
         (memory.fill (i32.const {at}) (i32.const 65) (i32.const {length}))
         (i32.store (i32.const 516) (i32.const {at}))
         (i32.store (i32.const 520) (i32.const {length})) {ERROR}"
    );
    let (status, printed) = refused(&[&told("says-much", &start, WELL)]);
    assert_eq!(status, Some(3));
    assert!(printed.contains("startup failed: AAAA"));
    assert!(printed.len() < 1 << 20, "{}", printed.len());
}

#[test]
fn an_instance_that_cannot_be_kept_is_not_and_the_log_says_why() {
    let handle = Variant {
        declarations: "(global $count (mut i32) (i32.const 0))",
        before: "(call $fields (i32.const 128) (i32.const 2) (i32.const 256))
                 (global.set $count (i32.add (global.get $count) (i32.const 1)))
                 (call $hex (global.get $count))",
        ..Variant::default()
    };
    let trap = Variant {
        declarations: "(global $count (mut i32) (i32.const 0))",
        before: "(global.set $count (i32.add (global.get $count) (i32.const 1)))
                 (if (i32.eq (global.get $count) (i32.const 2)) (then unreachable))
                 (call $hex (global.get $count))",
        ..Variant::default()
    };
    let unkept = told("unkept", WELL, ERROR);
    let trapped = "`GET /`: the guest trapped: wasm trap: wasm `unreachable` instruction executed";
    for (path, why) in [
        (handle.write("left-open"), "it has left open: "),
        (trap.write("traps-later"), trapped),
        (unkept, "no db"),
    ] {
        let options = [&path[..], "--prime", "/", "--prime", "/"];
        let server = Server::configured().args(options).start();
        assert!(get(server.address, "/").text().starts_with("00000001"));
        let printed = server.printed();
        let line = printed.lines().find(|line| line.contains("is not primed"));
        assert!(line.is_some_and(|line| line.contains(why)), "{printed}");
        // Which functions were running stands before.
        assert!(
            line.is_some_and(|line| !line.contains("backtrace")),
            "{printed}"
        );
        let (status, printed) = refused(&[&options[..], &["--prime-strict"]].concat());
        assert_eq!(status, Some(3), "{printed}");
        assert!(printed.contains(why), "{printed}");
    }
}

/// Tokens that an instance draws from what it knows since it was primed would be the same in all of them.
#[test]
fn what_was_drawn_at_random_is_in_no_snapshot() {
    for (interface, function) in [
        ("random", "get-random-u64"),
        ("insecure", "get-insecure-random-u64"),
    ] {
        is_not_primed(&format!(
            r#"(import "wasi:random/{interface}@0.2.0" (instance $random
                 (export "{function}" (func (result u64)))))
               (core func $draw (canon lower (func $random "{function}")))"#
        ));
    }
}

fn is_not_primed(component: &str) {
    let variant = Variant {
        component,
        imports: r#"(import "host" "draw" (func $draw (result i64)))"#,
        exports: r#"(export "draw" (func $draw))"#,
        declarations: "(global $drawn (mut i64) (i64.const 0))",
        before: "(if (i64.eqz (global.get $drawn)) (then (global.set $drawn (call $draw))))
                 (call $hex (i32.wrap_i64 (global.get $drawn)))",
    };
    let path = variant.write("drawn");
    let server = Server::component(&path).arg("--prime=/").start();
    let [one, other] = [(); 2].map(|()| get(server.address, "/").text());
    assert_ne!(one, other);
    let printed = server.printed();
    assert!(printed.contains("it has drawn random numbers"), "{printed}");
}

#[test]
fn an_error_that_answers_a_priming_request_is_told() {
    let behaviours = guest("behaviours");
    let path = "/respond?status=503";
    let server = Server::component(&behaviours)
        .option("--prime", path)
        .start();
    let printed = server.printed();
    assert!(printed.contains("answers 503"), "{printed}");
    let (status, printed) = refused(&[&behaviours, "--prime", path, "--prime-strict"]);
    assert_eq!(status, Some(3), "{printed}");
}

#[test]
fn each_version_is_primed_anew() {
    let path = counter("reloaded");
    let server = Server::component(&path).arg("--prime=/").workers(2).start();
    for count in 2..4 {
        server.signal(Signal::SIGHUP);
        server.wait_for_count("Primed ", count);
        server.wait_for_count("Application startup complete.", 2 * count);
        assert!(get(server.address, "/").text().starts_with("00000002"));
    }
}

#[test]
fn a_guest_of_wasi_0_3_begins_after_what_it_was_asked() {
    let component = guest("behaviours-p3");
    let server = Server::component(&component)
        .args(["--prime", "/counter", "--prime-strict"])
        .start();
    for _ in 0..5 {
        assert_eq!(get(server.address, "/counter").text(), "2\n");
    }
    // Nobody else has the stream.
    let options = ["--prime", "/leave?what=stream", "--prime-strict"];
    let (status, printed) = refused(&[&[component.as_str()], &options[..]].concat());
    assert_eq!(status, Some(3), "{printed}");
    let open = "it has left open: a task, a stream or a future";
    assert!(printed.contains(open), "{printed}");
}

#[test]
fn an_application_is_primed_behind_its_middleware() {
    let token = "Authorization: Bearer open";
    // In 0.2 it may have opened its standard streams.
    for (application, middleware, first) in [
        ("behaviours", "gate", "/stdio"),
        ("behaviours-p3", "middleware", "/"),
    ] {
        let server = Server::component(guest(application))
            .option("--middleware", guest(middleware))
            .args(["--env", "TOKEN=open", "--prime-header", token])
            .args(["--prime", first, "--prime", "/counter", "--prime-strict"])
            .start();
        for _ in 0..5 {
            assert_eq!(get(server.address, "/counter").status, 401);
            let mut connection = server.connect();
            let request = connection.get("/counter");
            let request = request.header("Authorization", "Bearer open");
            assert_eq!(request.response().unwrap().text(), "2\n", "{application}");
        }
    }
}

#[test]
fn what_cannot_be_primed_is_a_mistake_or_told() {
    let hello = root().join(HELLO).display().to_string();
    for (options, option) in [
        (&["--prime", "items"][..], "--prime"),
        (&["--prime", "/", "--reuse", "2"], "--prime"),
        (&["--prime-header", "x"], "--prime-header"),
    ] {
        let (status, printed) = refused(&[&[&hello[..]], options].concat());
        assert_eq!(status, Some(2), "{printed}");
        assert!(printed.contains(&format!("option {option}: ")), "{printed}");
    }
    let service = made_anew("service");
    let server = Server::component(&service).arg("--prime=/").start();
    let printed = server.printed();
    assert!(
        printed.contains("--prime: each request has an instance made for it"),
        "{printed}"
    );
    let (status, printed) = refused(&[&service, "--prime", "/", "--prime-strict"]);
    assert_eq!(status, Some(3), "{printed}");
}

/// So many bytes of a process are its share of what several have in memory (proc(5), /proc/pid/smaps_rollup).
fn proportional(pid: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kilobytes = line.and_then(|rest| rest.split_whitespace().next());
    kilobytes.unwrap().parse::<u64>().unwrap() << 10
}

#[test]
fn a_model_that_is_loaded_at_the_start_is_in_memory_once() {
    const MODEL: u32 = 100 << 20;
    let start = format!(
        "(drop (memory.grow (i32.const {}))) (memory.fill (i32.const 65536) (i32.const 7) (i32.const {MODEL}))
         (global.set $count (i32.const 1)) {WELL}",
        MODEL >> 16
    );
    let read = format!(
        "(func $read (result i32) (local $at i32) (local $sum i32)
           (local.set $at (i32.const {MODEL}))
           (loop $next
             (local.set $at (i32.sub (local.get $at) (i32.const 4096)))
             (local.set $sum (i32.add (local.get $sum) (i32.load8_u (local.get $at))))
             (br_if $next (local.get $at)))
           (local.get $sum))"
    );
    let path = with_more("model", &start, WELL, &read, "(drop (call $read))");
    let server = Server::component(&path).workers(4).start();
    let workers = server.workers();
    assert_eq!(workers.len(), 4);
    for _ in 0..40 {
        assert_eq!(get(server.address, "/").status, 200);
    }
    let shares: u64 = workers.iter().map(|pid| proportional(*pid)).sum();
    assert!(shares < 200 << 20, "{shares}");
}
