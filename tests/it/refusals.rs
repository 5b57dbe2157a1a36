//! What a connection refuses before it is a request is in the access log, counted, and has a span.

use crate::harness::certificates::Authority;
use crate::harness::collector::Collector;
use crate::harness::http2::{END_STREAM, Http2, head};
use crate::harness::{Connection, Server, eventually, guest};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::{Value, json};
use std::io::Write;
use std::net::TcpStream;

/// The type of a frame (RFC 9113 section 6.2).
const HEADERS: u8 = 1;

/// What is sent, and how the line in the access log ends.
fn refused() -> Vec<(String, &'static str)> {
    let long = "x".repeat(5000);
    let all = [
        (
            "GET /twice?a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "\"GET /twice?a HTTP/1.1\" 400 Bad Request",
        ),
        (
            "POST /\"old HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
            "\"POST /%22old HTTP/1.0\" 400 Bad Request",
        ),
        (
            "GET /big HTTP/1.1\r\nHost: a\r\nX: LONG\r\n\r\n",
            "\"GET /big HTTP/1.1\" 431 Request Header Fields Too Large",
        ),
        (
            "GET /LONG HTTP/1.1\r\nHost: a\r\n\r\n",
            "\"-\" 414 URI Too Long",
        ),
        (
            "GET /\x1b[2J HTTP/1.1\r\nHost: a\r\n\r\n",
            "\"-\" 400 Bad Request",
        ),
        ("\x01\x02\x03\r\n\r\n", "\"-\" 400 Bad Request"),
        (
            "PUT /slow HTTP/1.1\r\nHost: a\r\nX: never en",
            "\"PUT /slow HTTP/1.1\" 408 Request Timeout",
        ),
    ];
    let all = all.into_iter();
    all.map(|(sent, line)| (sent.replace("LONG", &long), line))
        .collect()
}

/// Guards against an attack, or a client with cookies that are too large, which nobody sees in the access log.
#[test]
fn what_never_became_a_request_is_in_the_access_log_counted_and_traced() {
    let collector = Collector::start();
    let watched = Server::component(guest("behaviours"))
        .args(["--limit-head", "4KiB", "--timeout-header", "300ms"])
        .option("--otlp-endpoint", collector.url())
        .env("OTEL_BSP_SCHEDULE_DELAY", "10")
        .watched();
    let server = &watched.server;
    let all = refused();
    for (sent, line) in &all {
        let mut client = server.connect();
        // A refusal may come while this is still being sent.
        let _ = client.write(sent);
        let status = client.response().unwrap().status;
        assert!(line.contains(&format!("\" {status} ")), "{status}: {line}");
        let written = server.wait_for(line);
        assert!(written.starts_with("INFO:     127.0.0.1:"), "{written}");
    }
    let count = |method: &str| {
        let labels = format!("{{method=\"{method}\",status=\"4xx\"}}");
        watched.metric(&format!("wasmserve_requests_total{labels}"))
    };
    let expected = [("GET", 2.0), ("POST", 1.0), ("PUT", 1.0), ("_OTHER", 3.0)];
    eventually("each is counted", || {
        expected
            .iter()
            .all(|(method, number)| count(method) == *number)
    });
    assert_eq!(watched.metric("wasmserve_requests_in_flight"), 0.0);
    let spans = collector.wait_for(all.len(), |span| span.kind == SpanKind::Server);
    let slow = spans.iter().find(|span| span.name == "PUT").unwrap();
    assert_eq!(slow.attributes["http.response.status_code"], "408");
    assert_eq!(slow.attributes["url.path"], "/slow");
    assert!(slow.nanos >= 250_000_000, "{slow:?}");
    let unread = spans.iter().filter(|span| span.name == "HTTP");
    assert_eq!(unread.count(), 3);
}

#[test]
fn a_stream_of_http2_that_is_refused_has_a_line_too() {
    let server = Server::component(guest("behaviours")).start();
    let mut client = Http2::open(server.address).unwrap();
    let malformed = head("GET", "/", &[("connection", "close")]);
    let stream = client.ask(END_STREAM, &malformed).unwrap();
    assert_eq!(client.wait_for(HEADERS).unwrap().stream, stream);
    let line = server.wait_for("\" 400 Bad Request");
    assert!(line.ends_with(" - \"-\" 400 Bad Request"), "{line}");
}

#[test]
fn formats_have_a_dash_for_what_could_not_be_read() {
    for (arguments, expected) in [
        (
            [
                "--access-logformat",
                "X \"$request\" $status $body_bytes_sent",
            ],
            "X \"-\" 400 12",
        ),
        (["--log-format", "json"], "\"message\":\"request\""),
    ] {
        let server = Server::component(guest("behaviours"))
            .args(arguments)
            .start();
        let mut client = server.connect();
        client.write("nonsense\r\n\r\n").unwrap();
        let answer = client.response().unwrap();
        assert_eq!((answer.status, answer.body.len()), (400, 12));
        let line = server.wait_for(expected);
        if let Ok(Value::Object(told)) = serde_json::from_str(&line) {
            for (name, value) in [("method", json!("-")), ("target", json!("-"))] {
                assert_eq!(told[name], value, "{line}");
            }
            for (name, value) in [("status", json!(400)), ("bytes_out", json!(12))] {
                assert_eq!(told[name], value, "{line}");
            }
        }
    }
}

/// A health check that only connects says nothing worth a line.
#[test]
fn a_handshake_that_fails_has_a_line_and_is_counted() {
    let authority = Authority::new();
    let pair = authority.issue("server", &["a.test"]);
    let watched = Server::component(guest("behaviours"))
        .certificate(&pair)
        .args(["--timeout-handshake", "300ms"])
        .watched();
    let server = &watched.server;
    let failed = || watched.metric("wasmserve_tls_handshakes_total{outcome=\"failure\"}");
    drop(TcpStream::connect(server.address).unwrap());
    eventually("the one that left is counted", || failed() == 1.0);
    let mut broken = TcpStream::connect(server.address).unwrap();
    broken.write_all(b"\x16\x03\x01\x00\x05hello").unwrap();
    let line = server.wait_for(" - closed: no TLS: ");
    assert!(line.starts_with("INFO:     127.0.0.1:"), "{line}");
    let address = broken.local_addr().unwrap().to_string();
    assert!(line.contains(&address), "the first was not told: {line}");
    let _slow = Connection::open(server.address);
    server.wait_for(" - closed: no TLS: the handshake did not end in time");
    eventually("all are counted", || failed() == 3.0);
}
