//! What is recorded of requests, and that recording never gets in the way.

use crate::harness::{Connection, DEADLINE, Server, get, guest};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::time::Instant;

/// A line of the log as a document.
fn record(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[test]
fn a_json_record_tells_everything() {
    let server = Server::component(guest("behaviours"))
        .arg("--log-format=json")
        .start();
    let mut connection = server.connect();
    let body = connection
        .post("/request?a=b")
        .header("X-Request-Id", "me")
        .body("abcde")
        .response()
        .unwrap()
        .body;
    let line = server.wait_for("\"message\":\"request\"");
    let told = record(&line);
    for (name, value) in [
        ("level", json!("INFO")),
        ("method", json!("POST")),
        ("target", json!("/request?a=b")),
        ("protocol", json!("HTTP/1.1")),
        ("status", json!(200)),
        ("bytes_in", json!(5)),
        ("bytes_out", json!(body.len())),
        ("worker", json!(0)),
        ("request_id", json!("me")),
        ("pid", json!(server.workers()[0])),
    ] {
        assert_eq!(told[name], value, "{name} in {line}");
    }
    let client = told["client"].as_str().unwrap();
    assert!(client.starts_with("127.0.0.1:"), "{line}");
    assert!(
        line.starts_with("{\"time\":\"2") && line.ends_with('}'),
        "{line}"
    );
}

/// What the guest wrote was counted, and nothing of what the server says itself.
#[test]
fn bytes_out_are_those_that_leave() {
    let server = Server::component(guest("behaviours"))
        .arg("--log-format=json")
        .arg("--compress")
        .arg("--compress-min-size=20")
        .start();
    let text = "a".repeat(2000);
    let target = format!("/respond?header=content-type:text/plain&body={text}");
    let headers = "Accept-Encoding: gzip\r\n".to_owned();
    for (number, (method, target, headers, status)) in [
        ("GET", target.as_str(), &headers, 200),
        ("GET", "/trap-before-head", &headers, 500),
        ("HEAD", "/request", &headers, 200),
    ]
    .into_iter()
    .enumerate()
    {
        let mut connection = server.connect();
        connection
            .write(format!(
                "{method} {target} HTTP/1.1\r\nHost: test\r\n{headers}\r\n"
            ))
            .unwrap();
        let length = match method {
            "HEAD" => 0,
            _ => {
                let response = connection.response().unwrap();
                assert_eq!(response.status, status, "{target}");
                assert!(!response.body.is_empty() && response.body.len() < 1000);
                response.body.len()
            }
        };
        let line = server.wait_for_count("\"message\":\"request\"", number + 1);
        assert_eq!(record(&line)["bytes_out"], length, "{line}");
        assert_eq!(record(&line)["status"], status, "{line}");
    }
}

#[test]
fn a_format_of_the_operators_own_has_what_the_request_had() {
    let server = Server::component(guest("behaviours")).arg("--access-logformat=%(h)s %(u)s %({x-in}i)s %({content-type}o)s %({x-request-id}o)s \"%(r)s\" %(s)s %(B)s \"%(a)s\"").arg("--access-log").start();
    let mut connection = server.connect();
    assert_eq!(
        connection
            .get("/respond?header=content-type:text/plain&body=abc")
            .header("X-In", "\"here")
            .header("X-Request-Id", "me")
            .header("Authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")
            .header("User-Agent", "a\u{e4}b")
            .response()
            .unwrap()
            .status,
        200
    );
    let line = server.wait_for("127.0.0.1 ");
    assert_eq!(
        line,
        "127.0.0.1 Aladdin \\x22here text/plain me \
         \"GET /respond?header=content-type:text/plain&body=abc HTTP/1.1\" 200 3 \"a\\xC3\\xA4b\""
    );
}

#[test]
fn the_time_in_the_guest_is_not_the_time_that_it_waits() {
    let server = Server::component(guest("behaviours"))
        .arg("--log-format=json")
        .start();
    get(server.address, "/slow-stream?n=3&ms=200");
    let line = server.wait_for("\"message\":\"request\"");
    let told = record(&line);
    let millis = |name: &str| told[name].as_f64().unwrap();
    assert!(millis("duration_ms") >= 400.0, "{line}");
    assert!(
        millis("guest_ms") > 0.0 && millis("guest_ms") < 200.0,
        "{line}"
    );
}

#[test]
fn a_request_cannot_forge_a_line() {
    let server = Server::component(guest("behaviours")).start();
    let mut connection = server.connect();
    let target = "/x\"_200_OK\\";
    assert_eq!(connection.get(target).response().unwrap().status, 200);
    let line = server.wait_for("GET /x");
    let expected = "\"GET /x%22_200_OK%5C HTTP/1.1\" 200 OK";
    assert!(line.ends_with(expected), "{line}");
}

#[test]
fn a_guest_cannot_forge_a_line_by_its_error() {
    let server = Server::component(guest("behaviours")).start();
    assert_eq!(
        get(server.address, "/error-code?text=a%0AINFO:%20forged").status,
        500
    );
    let line = server.wait_for("the guest answered with the error");
    assert!(line.contains("a\\nINFO: forged"), "{line}");
}

#[test]
fn a_reader_that_reads_no_more_costs_lines_and_no_time() {
    let (server, stdout) = Server::component(guest("behaviours"))
        .workers(2)
        .start_unread();
    let workers = server.workers();
    // A pipe has room for 64 KiB (pipe(7)).
    let target = format!("/{}", "x".repeat(1000));
    let start = Instant::now();
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (address, target) = (server.address, target.clone());
            std::thread::spawn(move || {
                let mut connection = Connection::open(address);
                for _ in 0..100 {
                    assert_eq!(connection.get(&target).response().unwrap().status, 200);
                }
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
    assert!(start.elapsed() < DEADLINE, "{:?}", start.elapsed());
    assert_eq!(server.workers(), workers, "nobody was taken to hang");

    // Once somebody reads, lines come again, and say how many are missing.
    let mut lines = BufReader::new(stdout).lines();
    let address = server.address;
    std::thread::spawn(move || {
        for _ in 0..100 {
            let mut connection = Connection::open(address);
            let _ = connection.get("/after").response();
        }
    });
    let mut told = 0_usize;
    let mut whole = 0_usize;
    while told == 0 || whole == 0 {
        let line = lines.next().unwrap().unwrap();
        if let Some(rest) = line.strip_prefix("WARNING:  ") {
            told = rest.split(' ').next().unwrap().parse().unwrap();
        } else {
            assert!(line.starts_with("INFO:     127.0.0.1:"), "{line}");
            assert!(line.ends_with(" HTTP/1.1\" 200 OK"), "{line}");
            whole += usize::from(line.contains("/after"));
        }
    }
}
