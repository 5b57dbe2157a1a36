//! Nothing of a request is left for the next, in whatever slot of the pool it comes to run.

use crate::harness::{HELLO, Server, eventually, get, guest, middleware, root};
use std::fs;
use std::path::Path;

/// What an instance checks before it answers, and what it leaves behind: every byte, entry and global that
/// it can write to. Most of it is more than what is kept mapped between two instances.
const SPOILER: &str = r#"
    (table $table 16 4000 funcref)
    (elem declare func $spoil)
    (global $global (mut i64) (i64.const 7))
    (data $seed "seed")

    (func $must (param $holds i32)
      (if (i32.eqz (local.get $holds)) (then unreachable)))
    (func $zeros (param $from i32) (param $to i32)
      (loop $next
        (if (i32.lt_u (local.get $from) (local.get $to)) (then
          (call $must (i64.eqz (i64.load (local.get $from))))
          (local.set $from (i32.add (local.get $from) (i32.const 8)))
          (br $next)))))
    (func $nulls (param $from i32)
      (loop $next
        (if (i32.lt_u (local.get $from) (table.size $table)) (then
          (call $must (ref.is_null (table.get $table (local.get $from))))
          (local.set $from (i32.add (local.get $from) (i32.const 1)))
          (br $next)))))

    (func $check
      (call $must (i64.eq (global.get $global) (i64.const 7)))
      (call $must (i32.eq (memory.size) (i32.const 20)))
      (call $zeros (i32.const 512) (i32.const 1000000))
      (call $must (i64.eq (i64.load (i32.const 1000000)) (i64.const 1)))
      (call $zeros (i32.const 1000008) (i32.const 1310720))
      (call $must (i32.eq (memory.grow (i32.const 40)) (i32.const 20)))
      (call $zeros (i32.const 1310720) (i32.const 3932160))
      (call $must (i32.eq (table.size $table) (i32.const 16)))
      (call $nulls (i32.const 0))
      (call $must (i32.eq (table.grow $table (ref.null func) (i32.const 1000)) (i32.const 16)))
      (memory.init $seed (i32.const 600) (i32.const 0) (i32.const 4))
      (call $must (i32.eq (i32.load (i32.const 600)) (i32.const 0x64656573))))

    (func $spoil
      (global.set $global (i64.const 8))
      (memory.fill (i32.const 0) (i32.const 0xaa) (i32.const 3932160))
      (table.fill $table (i32.const 0) (ref.func $spoil) (table.size $table))
      (data.drop $seed))

    (func (export "handle")"#;

/// The smallest guest, with memory that is partly an image, which checks, answers and spoils. Its file has a name of
/// each test's own, as tests run side by side.
fn spoiler(name: &str) -> String {
    written(name, &spoiling())
}

fn written(name: &str, text: &str) -> String {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn spoiling() -> String {
    let mut text = fs::read_to_string(root().join(HELLO)).unwrap();
    let mut replace = |what: &str, with: &str| {
        assert_eq!(text.matches(what).count(), 1, "{what}");
        text = text.replace(what, with);
    };
    replace(
        r#"(memory (export "memory") 1)"#,
        r#"(memory (export "memory") 20) (data (i32.const 1000000) "\01")"#,
    );
    replace(r#"(func (export "handle")"#, SPOILER.trim_start());
    let first = "(call $drop-request (local.get $request))";
    replace(first, &format!("(call $check) {first}"));
    let last = "(call $finish (local.get $body) (i32.const 0) (i32.const 0) (i32.const 256))";
    replace(last, &format!("{last} (call $spoil)"));
    text
}

/// A guest that checks as much, and spoils as much, of what can be put back.
const NOT_REWINDABLE: [&str; 3] = [
    "(call $must (i32.eq (table.grow $table (ref.null func) (i32.const 1000)) (i32.const 16)))",
    "(table.fill $table (i32.const 0) (ref.func $spoil) (table.size $table))",
    "(data.drop $seed)",
];

fn rewindable(name: &str) -> String {
    let mut text = spoiling();
    for what in NOT_REWINDABLE {
        assert_eq!(text.matches(what).count(), 1, "{what}");
        text = text.replace(what, "");
    }
    written(name, &text)
}

/// Begins with no code in the cache, and tells of what becomes of it.
fn start(guest: &str, options: &[&str]) -> Server {
    let cache = format!("{guest}-cache");
    let _ = fs::remove_dir_all(&cache);
    Server::component(guest)
        .option("--cache-dir", &cache)
        .arg("--log-level=debug")
        .args(options)
        .start()
}

fn is_always_fresh(server: &Server) {
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let response = get(server.address, "/");
                    assert_eq!(response.status, 200, "{}", server.printed());
                    assert_eq!(response.text(), "Hello, world!\n");
                }
            });
        }
    });
}

const MADE_ANEW: &str = "each request has an instance made for it";

#[test]
fn an_instance_that_is_put_back_is_as_it_was_when_it_was_made() {
    let server = start(&rewindable("rewindable.wat"), &["--limit-concurrency", "2"]);
    is_always_fresh(&server);
    let printed = server.printed();
    assert!(!printed.contains(MADE_ANEW), "{printed}");
}

#[test]
fn what_cannot_be_put_back_is_made_anew() {
    let server = start(&spoiler("spoiler.wat"), &["--limit-concurrency", "2"]);
    is_always_fresh(&server);
    server.wait_for(MADE_ANEW);
}

#[test]
fn what_a_guest_holds_on_to_is_not_there_for_the_next_request() {
    let server = Server::component(guest("behaviours")).start();
    let ask = |path: &str| get(server.address, path).text();
    for _ in 0..3 {
        assert_eq!(ask("/keep"), "kept 1\n");
        assert_eq!(ask("/counter"), "1\n");
        // More than what is forgotten about: its instance is not put back.
        assert_eq!(ask("/keep?n=2000"), "kept 2000\n");
        assert_eq!(ask("/counter"), "1\n");
    }
}

/// Guests of WASI 0.3 are restored where nothing of the request is left, and otherwise another instance answers.
#[test]
fn what_a_concurrent_guest_leaves_behind_is_not_there_for_the_next_request() {
    const KEPT: &str = "wasmserve_instances_dropped_total{reason=\"kept_resources\"}";
    let watched = Server::component(guest("behaviours-p3"))
        .arg("--no-access-log")
        .watched();
    let ask = |path: &str| get(watched.server.address, path).text();
    let numbers = ask("/numbers");
    let mut dropped = 0.0;
    for (what, is_kept) in [
        ("nothing", false),
        ("task", false),
        ("turns", false),
        ("request", true),
        ("fields", true),
        ("stream", true),
        ("reader", true),
        ("writer", true),
        ("future", true),
        ("subtask", true),
        // Its task waits for a reader.
        ("write", false),
    ] {
        for _ in 0..4 {
            assert_eq!(
                ask(&format!("/leave?what={what}")),
                format!("left {what}\n")
            );
            assert_eq!(ask("/counter"), "1\n", "{what}");
            assert_eq!(ask("/numbers"), numbers, "{what}");
            dropped += f64::from(u8::from(is_kept));
        }
        eventually(what, || watched.metric(KEPT) == dropped);
    }
    assert!(watched.metric("wasmserve_instances_restored_total") > 0.0);
}

#[test]
fn what_a_concurrent_guest_does_not_end_is_not_there_for_the_next_request() {
    let server = Server::component(guest("behaviours-p3"))
        .arg("--limit-cpu=1s")
        .start();
    for path in [
        "/trap-before-head",
        "/trap-after-head",
        "/trap-after-answer",
        "/error-code",
        "/spin-after-head",
        "/slow-stream?n=3&ms=1",
    ] {
        let mut connection = server.connect();
        connection.get(path).send().unwrap();
        let _ = connection.response();
        assert_eq!(get(server.address, "/counter").text(), "1\n", "{path}");
    }
    // The client leaves in the middle.
    for path in ["/slow-stream?n=100&ms=20", "/sleep?ms=200", "/fill?ms=200"] {
        for _ in 0..3 {
            let mut connection = server.connect();
            connection.get(path).send().unwrap();
            std::thread::sleep(std::time::Duration::from_millis(30));
            drop(connection);
            assert_eq!(get(server.address, "/counter").text(), "1\n", "{path}");
        }
    }
}

#[test]
fn an_instance_finds_nothing_of_those_before_it() {
    let guest = spoiler("spoiled.wat");
    // Two slots, so that each is used again and again.
    let server = Server::component(&guest)
        .arg("--limit-concurrency=2")
        .start();
    is_always_fresh(&server);
    // It would have told what it found.
    let spoiled = guest.replace(".wat", "-before.wat");
    let text = fs::read_to_string(&guest).unwrap();
    fs::write(
        &spoiled,
        text.replace("(mut i64) (i64.const 7)", "(mut i64) (i64.const 8)"),
    )
    .unwrap();
    assert_eq!(
        get(Server::component(&spoiled).start().address, "/").status,
        500
    );
}

/// Middleware that traps where it finds anything of a request before: it counts in its globals, and writes over its
/// memory.
const COUNTING: &str = r#"(memory 1)
(global $count (mut i32) (i32.const 0))
(func (export "handle") (param i32 i32)
  (if (i32.or (global.get $count) (i32.load (i32.const 70000))) (then unreachable))
  (if (i32.ne (memory.size) (i32.const 2)) (then unreachable))
  ;; The numbers of its handles are the same each time.
  (if (i32.ne (i32.add (local.get 0) (local.get 1)) (i32.const 3)) (then unreachable))
  (global.set $count (i32.const 1))
  (i32.store (i32.const 70000) (i32.const 1))
  (drop (memory.grow (i32.const 1)))
  (call $next (local.get 0) (local.get 1)))"#;

#[test]
fn neither_an_application_nor_its_middleware_finds_anything_of_a_request_before() {
    const RESTORED: &str = "wasmserve_instances_restored_total";
    let two_pages = COUNTING.replace("(memory 1)", "(memory 2)");
    let middleware = written(
        "counting-middleware.wat",
        &middleware::component(&two_pages),
    );
    for application in [guest("behaviours"), rewindable("composed.wat")] {
        let watched = Server::component(&application)
            .option("--middleware", &middleware)
            .option("--middleware", &middleware)
            .arg("--no-access-log")
            .watched();
        let server = &watched.server;
        for _ in 0..20 {
            let response = get(server.address, "/counter");
            assert_eq!(response.status, 200, "{}", server.printed());
            assert!(["1\n", "Hello, world!\n"].contains(&&*response.text()));
        }
        eventually("restored", || watched.metric(RESTORED) >= 19.0);
        if application.ends_with("behaviours.wasm") {
            // What is left or ends otherwise costs its instance, and what is printed does not.
            for path in [
                "/keep",
                "/trap-after-head",
                "/unfinished",
                "/stdio",
                "/no-response",
            ] {
                let mut connection = server.connect();
                connection.get(path).send().unwrap();
                let _ = connection.response();
                assert_eq!(get(server.address, "/counter").text(), "1\n", "{path}");
            }
        }
    }
}

/// As a guest of WASI 0.3 sees it alone.
#[test]
fn numbers_are_the_same_behind_middleware_whatever_was_left_before() {
    let server = Server::component(guest("behaviours-p3"))
        .option("--middleware", guest("middleware"))
        .start();
    let ask = |path: &str| get(server.address, path).text();
    let numbers = ask("/numbers");
    for what in [
        "nothing", "task", "turns", "request", "fields", "stream", "reader", "future", "subtask",
        "write",
    ] {
        for _ in 0..3 {
            assert_eq!(
                ask(&format!("/leave?what={what}")),
                format!("left {what}\n")
            );
            assert_eq!(ask("/counter"), "1\n", "{what}");
            assert_eq!(ask("/numbers"), numbers, "{what}");
        }
    }
}
