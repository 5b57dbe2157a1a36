//! `wasmserve:http/exchange`: the head of a request and a whole response in one call each.

use crate::harness::{Connection, Response, Server, get, guest};
use std::time::{Duration, Instant};

fn server(options: &[&str]) -> Server {
    Server::component(guest("behaviours")).args(options).start()
}

fn heads(connection: &mut Connection, method: &str, query: &str) -> Response {
    let head = format!("{method} /respond-whole?{query} HTTP/1.1\r\nHost: test\r\n\r\n");
    connection.write(head).unwrap();
    connection.head().unwrap()
}

/// Restored, and used again.
const WAYS: [&[&str]; 2] = [&[], &["--reuse", "1000"]];

#[test]
fn a_head_is_told_as_the_functions_of_a_request_tell_it() {
    for options in WAYS {
        let server = server(options);
        for _ in 0..3 {
            let mut connection = server.connect();
            let sent = connection.write(
                "REPORT /head?a=%20b HTTP/1.1\r\nHost: Example.test:81\r\nX-One: 1\r\nx-two: a\r\nX-One: \u{e4}\r\n\r\n",
            );
            sent.unwrap();
            let text = connection.response().unwrap().text();
            for line in [
                "method REPORT",
                "scheme http",
                "authority Example.test:81",
                "path /head?a=%20b",
                "header x-one: 1",
                "header x-one: \u{e4}",
                "header x-two: a",
                "same true",
            ] {
                assert!(text.lines().any(|it| it == line), "{line}: {text}");
            }
        }
    }
}

#[test]
fn a_response_is_given_whole() {
    for options in WAYS {
        let server = server(options);
        for length in [0, 1, 5, 64 << 10] {
            let answer = get(
                server.address,
                &format!(
                    "/respond-whole?length={length}&header=X-Of:guest&header=set-cookie:a&header=set-cookie:b"
                ),
            );
            assert_eq!((answer.status, answer.body.len()), (200, length));
            assert_eq!(answer.header("x-of"), Some("guest"));
            assert_eq!(answer.header("content-length"), Some(&*length.to_string()));
            let cookies = answer
                .headers
                .iter()
                .filter(|(name, _)| name == "set-cookie");
            assert_eq!(cookies.count(), 2);
        }
        let mut connection = server.connect();
        for (query, status) in [("status=204&body=none", 204), ("status=304&body=none", 304)] {
            let answer = connection
                .get(&format!("/respond-whole?{query}"))
                .response();
            let answer = answer.unwrap();
            assert_eq!((answer.status, answer.body.len()), (status, 0), "{query}");
        }
        let head = heads(&mut connection, "HEAD", "body=none&header=content-length:7");
        assert_eq!(
            (head.status, head.header("content-length")),
            (200, Some("7"))
        );
        let head = heads(&mut connection, "HEAD", "length=9");
        assert_eq!(
            (head.status, head.header("content-length")),
            (200, Some("9"))
        );
        // Nothing of a body came.
        assert_eq!(connection.get("/").response().unwrap().text(), "ok\n");
    }
}

#[test]
fn what_cannot_be_sent_is_refused_and_something_else_can_be_answered() {
    for options in WAYS {
        let server = server(options);
        for (query, problem) in [
            ("header=connection:close", "Header"),
            ("header=a%20b:c", "Header"),
            ("header=%ff:c", "Header"),
            ("header=a:b%0ac", "Header"),
            ("status=99", "IllegalStatus"),
            ("status=1000", "IllegalStatus"),
            ("length=5&header=content-length:4", "Longer"),
            ("length=5&header=Content-Length:6", "Shorter"),
        ] {
            let answer = get(server.address, &format!("/respond-whole?{query}"));
            assert_eq!(answer.status, 200, "{query}");
            assert!(
                answer.text().contains(problem),
                "{query}: {}",
                answer.text()
            );
        }
        // Two lengths that differ are as good as none.
        let twice = "/respond-whole?length=5&header=content-length:4&header=content-length:6";
        assert_eq!(get(server.address, twice).body.len(), 5);
    }
}

#[test]
fn a_body_that_is_too_long_to_be_given_whole_is_a_trap() {
    let server = server(&[]);
    let answer = get(server.address, "/respond-whole?length=65537");
    assert_eq!(answer.status, 500);
    server.wait_for("has at most 65536 bytes");
    assert_eq!(get(server.address, "/").text(), "ok\n");
}

#[test]
fn the_client_has_the_response_whatever_its_guest_does_then() {
    for options in WAYS {
        let server = server(&[options, &["--limit-cpu", "5s"]].concat());
        for then in ["trap=1", "spin=1"] {
            let mut connection = server.connect();
            let began = Instant::now();
            let answer = connection.get(&format!("/respond-whole?{then}")).response();
            assert_eq!(answer.unwrap().body, b"xxxxx", "{then}");
            assert!(began.elapsed() < Duration::from_secs(4), "{then}");
        }
        assert_eq!(get(server.address, "/").text(), "ok\n");
    }
}
