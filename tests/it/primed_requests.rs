//! The requests that `--prime` names are such as a client can send, and whatever becomes of them, the server says which
//! one it was, and starts.

use crate::harness::{HELLO, Server, Variant, finished, get, guest, root, wasmserve, write};
use std::fs;
use std::process::Output;

const WRITE: &str =
    "(call $write-and-flush (local.get $stream) (i32.const 0) (i32.const 14) (i32.const 256))";
const END: &str = "(call $finish (local.get $body) (i32.const 0) (i32.const 0) (i32.const 256))";
/// With it, the head says how long the body is.
const FIELDS: &str = "(call $fields (i32.const 128) (i32.const 2) (i32.const 256))";
const NO_LENGTH: &str = "(call $fields (i32.const 128) (i32.const 1) (i32.const 256))";

/// The smallest guest, where it says how often its instance was asked, with some of it replaced.
fn replaced(name: &str, replacements: &[(&str, &str)]) -> String {
    let variant = Variant {
        declarations: "(global $count (mut i32) (i32.const 0))",
        before: "(global.set $count (i32.add (global.get $count) (i32.const 1)))
                 (call $hex (global.get $count))",
        ..Variant::default()
    };
    let mut text = fs::read_to_string(variant.write(name)).unwrap();
    for (what, with) in replacements {
        assert_eq!(text.matches(what).count(), 1, "{what}");
        text = text.replace(what, with);
    }
    write(name, &text)
}

/// What is printed by a server that does not start.
fn refused(arguments: &[&str], status: i32) -> String {
    let mut command = wasmserve();
    command.args(arguments).args(["--port", "0"]);
    let output: Output = finished(command);
    let printed = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(status), "{printed}");
    printed
}

#[test]
fn an_answer_that_does_not_come_to_its_end_is_told_by_its_name() {
    let spins = replaced("spins", &[(FIELDS, "(loop $on (br $on))")]);
    let endless = format!("(loop $on {WRITE} (br $on))");
    let endless = replaced("endless", &[(FIELDS, NO_LENGTH), (WRITE, &endless)]);
    let first = "(if (i32.eq (global.get $count) (i32.const 1)) (then unreachable))";
    let traps_late = replaced("traps-late", &[(WRITE, &format!("{WRITE} {first}"))]);
    let unfinished = replaced("unfinished", &[(END, "")]);
    for (path, why) in [
        (&spins, "`GET /late` has no end"),
        (&endless, "`GET /late` has no end"),
        (&traps_late, "`GET /late`: the guest trapped"),
        (
            &unfinished,
            "`GET /late`: the guest did not finish the body",
        ),
    ] {
        let options = ["--prime", "/late", "--timeout-worker-startup", "4s"];
        let server = Server::component(path).args(options).start();
        let printed = server.printed();
        let line = printed.lines().find(|line| line.contains("is not primed"));
        assert!(line.is_some_and(|line| line.contains(why)), "{printed}");
        let strict = [&[path, "--prime-strict"], &options[..]].concat();
        let printed = refused(&strict, 3);
        assert!(printed.contains(why), "{printed}");
    }
}

/// More than a guest can write before somebody reads.
#[test]
fn a_long_answer_is_read_to_its_end() {
    let long = format!(
        "(loop $on {WRITE}
           (global.set $written (i32.add (global.get $written) (i32.const 1)))
           (br_if $on (i32.lt_u (global.get $written) (i32.const 20000))))"
    );
    let hex = "(func $hex";
    let global = "(global $written (mut i32) (i32.const 0)) (func $hex";
    let path = replaced(
        "long",
        &[(FIELDS, NO_LENGTH), (WRITE, &long), (hex, global)],
    );
    let server = Server::component(&path)
        .args(["--prime", "/", "--prime-strict"])
        .start();
    assert!(get(server.address, "/").text().starts_with("00000002"));
}

/// Guests of WASI 0.3 write while nothing of theirs runs any more.
#[test]
fn answers_of_wasi_0_3_are_read_to_their_end_or_told() {
    let component = guest("behaviours-p3");
    let start = |path| {
        let options = ["--prime", path, "--timeout-worker-startup", "4s"];
        Server::component(&component).args(options).start()
    };
    for path in ["/slow-stream?n=3&ms=1", "/counter"] {
        let printed = start(path).printed();
        assert!(printed.contains("Primed "), "{path}: {printed}");
    }
    for path in [
        "/trap-before-head",
        "/trap-after-head",
        "/spin-after-head",
        "/slow-stream?n=1000&ms=100",
    ] {
        let printed = start(path).printed();
        let told = format!("is not primed, and starts anew for each request: `GET {path}`");
        assert!(printed.contains(&told), "{path}: {printed}");
    }
}

/// Guards against operators who name `/items` where the application answers at `/items/`.
#[test]
fn a_redirection_is_told_and_not_followed() {
    let path = "/respond?status=307&header=location:/x";
    let server = Server::component(guest("behaviours"))
        .args(["--prime", path, "--prime-strict"])
        .start();
    let printed = server.printed();
    let line = printed.lines().find(|line| line.contains("answers 307"));
    assert!(
        line.is_some_and(|line| line.contains("is not asked for")),
        "{printed}"
    );
    assert!(printed.contains("Primed "), "{printed}");
}

#[test]
fn what_no_client_can_send_is_a_mistake() {
    let hello = root().join(HELLO).display().to_string();
    for (option, text) in [
        ("--prime", "/a b"),
        ("--prime", "/items#7"),
        ("--prime", "CONNECT /"),
        ("--prime", "G@T /"),
        ("--prime-header", "Host: a b"),
        ("--prime-header", "Content-Length: 5"),
        ("--prime-header", "Transfer-Encoding: chunked"),
        ("--prime-header", "Connection: upgrade"),
    ] {
        let printed = refused(&[&hello, "--prime", "/", option, text], 2);
        let told = format!("option {option}: ");
        assert!(printed.contains(&told), "{text}: {printed}");
    }
    let mount = format!("/api={hello}");
    let printed = refused(&[&hello, "--mount", &mount, "--prime", "/api/x?y"], 2);
    let told = "`/api/x` is answered by what is mounted at `/api`";
    assert!(printed.contains(told), "{printed}");
    // The host is looked at as a request's is.
    for (place, host) in [
        ("localhost/", None),
        ("[::1]/", Some("[0:0::1]:8000")),
        ("example.com/", Some("Example.COM.")),
    ] {
        let mount = format!("{place}={hello}");
        let host = host.map_or("x: y".to_owned(), |host| format!("Host: {host}"));
        let arguments = [
            &hello,
            "--mount",
            &mount,
            "--prime",
            "/",
            "--prime-header",
            &host,
        ];
        let printed = refused(&arguments, 2);
        let told = format!("`/` is answered by what is mounted at `{place}`");
        assert!(printed.contains(&told), "{printed}");
    }
    let options = [
        "--prime",
        "//a/%2e%2e?b=\"ü\"",
        "--prime-header",
        "Host: example.com",
    ];
    let server = Server::component(&hello).args(options).start();
    assert!(server.printed().contains("Primed "));
}
