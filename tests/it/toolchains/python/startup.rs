//! What an application says when something goes wrong reaches the operator: when it does not start, and later. It
//! knows its clients.

use super::{FLASK, built, of_tests, place, trials};
use crate::harness::{Server, eventually, finished, get, send, wasmserve};
use nix::sys::signal::Signal;

/// It was told "startup complete", and then 500 for each request.
#[test]
fn an_application_that_does_not_start_ends_the_server_with_its_own_words() {
    for (how, said) in [
        ("raise", "RuntimeError: no database"),
        ("say", "the queue is gone"),
        ("leave", "lifespan.startup.failed"),
    ] {
        for workers in ["1", "4"] {
            let mut command = wasmserve();
            command
                .arg(of_tests())
                .args(["--port", "0", "--workers", workers]);
            command.args(["--log-level", "error", "--env", &format!("FAILS={how}")]);
            let output = finished(command);
            let printed = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(3), "{printed}");
            assert!(printed.contains(said), "{printed}");
            assert!(printed.contains("ERROR:    Application startup failed. Exiting."));
            assert!(!printed.contains("running on"), "{printed}");
            if how == "raise" {
                // With the line of the source.
                let line = "    raise RuntimeError(\"no database\")\n";
                assert!(printed.contains(line), "{printed}");
            }
        }
    }
}

#[test]
fn a_reload_to_an_application_that_does_not_start_leaves_the_old_one() {
    let at = place("python-startup-reload");
    let file = at.join("environment");
    std::fs::write(&file, "FAILS=\n").unwrap();
    let server = trials::serve(&of_tests(), &["--env-file", file.to_str().unwrap()]);
    assert_eq!(get(server.address, "/").text(), "ok");
    std::fs::write(&file, "FAILS=raise\n").unwrap();
    server.signal(Signal::SIGHUP);
    server.wait_for("RuntimeError: no database");
    server.wait_for("Application startup failed");
    server.wait_for("The reload failed, and the old version goes on serving");
    for _ in 0..8 {
        assert_eq!(get(server.address, "/").text(), "ok");
    }
    std::fs::write(&file, "FAILS=\n").unwrap();
    server.signal(Signal::SIGHUP);
    server.wait_for_count("Application startup complete.", 2);
    assert_eq!(get(server.address, "/").text(), "ok");
}

/// Each was a traceback of some thirty lines.
#[test]
fn later_failures_to_start_are_told_once_and_counted() {
    let at = place("python-startup-later");
    let directory = format!("{}::/state", at.display());
    let server = Server::component(of_tests())
        .arg("--no-prime")
        .option("--dir", &directory)
        .start();
    assert_eq!(get(server.address, "/").text(), "ok");
    std::fs::write(at.join("broken"), "").unwrap();
    for _ in 0..30 {
        assert_eq!(get(server.address, "/").status, 500);
    }
    server.wait_for("RuntimeError: no database");
    let printed = server.printed();
    assert_eq!(
        printed.matches("RuntimeError: no database").count(),
        1,
        "{printed}"
    );
    // What is counted is told with a failure that comes later.
    eventually("the count is told", || {
        get(server.address, "/");
        server
            .printed()
            .contains("times more: RuntimeError: no database")
    });
    std::fs::remove_file(at.join("broken")).unwrap();
    assert_eq!(get(server.address, "/").text(), "ok");
}

/// With `--log-level warning` there was a 500, and nothing in the log.
#[test]
fn tracebacks_are_errors_and_show_the_source() {
    let server = trials::serve(&of_tests(), &[]);
    for path in ["/boom", "/print"] {
        let before = server.printed().matches("ValueError: beneath").count();
        get(server.address, path);
        server.wait_for_count("ValueError: beneath", before + 1);
        server.wait_for_count("] Traceback (most recent call last):", before + 1);
        let line = server.wait_for_count("]     raise ValueError(\"beneath\")", before + 1);
        assert!(line.starts_with("ERROR:    [guest "), "{line}");
    }
    get(server.address, "/task");
    let line = server.wait_for("LookupError: in the background");
    assert!(line.starts_with("ERROR:"), "{line}");
    server.wait_for("raise LookupError(\"in the background\")");
    let server = trials::serve(&built(FLASK), &[]);
    assert_eq!(get(server.address, "/throw").status, 500);
    server.wait_for("ValueError: outside of Flask");
    server.wait_for("]     raise ValueError(\"outside of Flask\")");
    get(server.address, "/errors");
    let line = server.wait_for("] to wsgi.errors");
    assert!(line.starts_with("ERROR:    [guest "), "{line}");
    // What is written beyond the length that was announced is cut off, as by gunicorn: it was a 500.
    let cut = get(server.address, "/longer");
    assert_eq!((cut.status, cut.text().as_str()), (200, "abcde"));
}

#[test]
fn lines_that_name_a_level_have_that() {
    let server = trials::serve(&of_tests(), &[]);
    get(server.address, "/log");
    let line = server.wait_for("WARNING:shop:a warning");
    assert!(line.starts_with("WARNING:  [guest "), "{line}");
    let line = server.wait_for("INFO:root:a word by the way");
    assert!(line.starts_with("INFO:     [guest "), "{line}");
    let server = trials::serve(&of_tests(), &["--log-format", "json"]);
    let answer = get(server.address, "/boom");
    let line = server.wait_for("ValueError: beneath");
    let told: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(told["stream"], "stderr");
    assert_eq!(told["request_id"], answer.header("x-request-id").unwrap());
    assert_eq!(told["level"], "ERROR");
}

/// It took `--client-header` and its names to know whom one talks to.
#[test]
fn clients_are_known_without_an_option_and_cannot_forge_themselves() {
    let ask = |server: &Server, fields: &str| {
        let head = "GET /client HTTP/1.1\r\nHost: test\r\nConnection: close\r\n";
        let answer = send(server.address, format!("{head}{fields}\r\n"));
        answer.split_once("\r\n\r\n").unwrap().1.trim().to_owned()
    };
    let forged = "Wasmserve-Client: 6.6.6.6:1\r\nWasmserve_Client: 6.6.6.6:1\r\n";
    let forwarded = "X-Forwarded-For: 1.2.3.4:1024\r\n";
    let of_v6 = "X-Forwarded-For: [2001:db8::1]:80\r\n";
    let server = trials::serve(&of_tests(), &[]);
    let plain = ask(&server, forged);
    assert!(
        plain.contains("('127.0.0.1', ") && !plain.contains("6.6.6.6"),
        "{plain}"
    );
    assert!(ask(&server, forwarded).contains("('1.2.3.4', 1024)"));
    assert!(ask(&server, of_v6).contains("('2001:db8::1', 80)"));
    let server = trials::serve(&of_tests(), &["--forwarded-allow-ips", "192.0.2.1"]);
    assert!(ask(&server, forwarded).contains("('127.0.0.1', "));
    let server = trials::serve(&built(FLASK), &[]);
    let plain = ask(&server, forged);
    assert!(
        plain.contains("['127.0.0.1', '") && plain.contains("None]"),
        "{plain}"
    );
    assert!(ask(&server, forwarded).contains("['1.2.3.4', '1024', None]"));
}
