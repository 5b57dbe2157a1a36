//! What a connection refuses before it is a request is in the access log, counted, and has a span.

use crate::harness::certificates::Authority;
use crate::harness::collector::Collector;
use crate::harness::http2::{END_STREAM, Http2, head};
use crate::harness::{Connection, Server, eventually, guest};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::{Value, json};
use std::collections::HashMap;
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

/// The parser beneath answered these itself: without a body, without the fields of other answers, and with another status than
/// the one in the log.
#[test]
fn whoever_refuses_a_head_of_http1_its_answer_is_like_others() {
    let server = Server::component(guest("behaviours"))
        .args(["--limit-head", "1MiB", "--header", "x-from: here"])
        .start();
    let long = "a".repeat(66_000);
    // Percent-encoded it is too long.
    let encoded = "\u{e9}".repeat(11_000);
    let sent = [
        ("GET http:// HTTP/1.1".to_owned(), 400, "Bad Request\n"),
        ("GET http://[::1/ HTTP/1.1".to_owned(), 400, "Bad Request\n"),
        ("GET http://a]/x HTTP/1.1".to_owned(), 400, "Bad Request\n"),
        ("GET http://@/ HTTP/1.1".to_owned(), 400, "Bad Request\n"),
        ("CONNECT [::1 HTTP/1.1".to_owned(), 400, "Bad Request\n"),
        (format!("GET /{long} HTTP/1.1"), 414, "URI Too Long\n"),
        (
            format!("GET http://a/{long} HTTP/1.1"),
            414,
            "URI Too Long\n",
        ),
        (format!("GET /{encoded} HTTP/1.1"), 414, "URI Too Long\n"),
        (
            format!("GET / HTTP/1.1\r\n{long}: b"),
            431,
            "Request Header Fields Too Large\n",
        ),
    ];
    let mut seen = HashMap::new();
    for (count, (head, status, body)) in sent.into_iter().enumerate() {
        let mut client = server.connect();
        let _ = client.write(format!("{head}\r\nHost: a\r\n\r\n"));
        let answer = client.response().unwrap();
        let told: String = head.chars().take(40).collect();
        assert_eq!((answer.status, &*answer.text()), (status, body), "{told}");
        let kind = answer.header("content-type");
        assert_eq!(kind, Some("text/plain; charset=utf-8"), "{told}");
        assert_eq!(answer.header("x-from"), Some("here"), "{told}");
        let line = server.wait_for_count("refused a request: ", count + 1);
        assert!(line.ends_with(&format!(" ({status})")), "{told}: {line}");
        *seen.entry(status).or_insert(0) += 1;
        server.wait_for_count(&format!("\" {status} "), seen[&status]);
    }
}

/// The library beneath answers these itself, and told nobody.
#[test]
fn a_head_of_http2_that_is_too_large_has_a_line_and_is_counted() {
    let watched = Server::component(guest("behaviours"))
        .args(["--limit-head", "4KiB"])
        .watched();
    let mut client = Http2::open(watched.server.address).unwrap();
    let value = "a".repeat(6000);
    for count in 1..=3 {
        let stream = client
            .ask(END_STREAM, &head("GET", "/", &[("x", &value)]))
            .unwrap();
        let answer = client.wait_for(HEADERS).unwrap();
        assert_eq!((answer.stream, answer.ends_stream()), (stream, true));
        watched
            .server
            .wait_for_count("refused a request: its head is too large (431)", count);
        watched
            .server
            .wait_for_count(" - \"-\" 431 Request Header Fields Too Large", count);
    }
    eventually("each is counted", || {
        watched.metric("wasmserve_requests_total{method=\"_OTHER\",status=\"4xx\"}") == 3.0
    });
    let sound = client.get("/").unwrap();
    assert_eq!(client.answer(sound).unwrap(), b"ok\n");
    assert_eq!(watched.server.printed().matches("431 Request").count(), 3);
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
