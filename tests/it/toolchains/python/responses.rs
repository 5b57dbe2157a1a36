//! What becomes of the messages of a response: when its head leaves, and what is answered where something is wrong.

use super::of_tests;
use crate::harness::{Server, get};
use std::time::{Duration, Instant};

fn each_way(test: impl Fn(&Server)) {
    for reuse in ["1", "1000"] {
        test(
            &Server::component(of_tests())
                .option("--reuse", reuse)
                .start(),
        );
    }
}

#[test]
fn a_head_leaves_with_its_body_or_when_something_is_waited_for() {
    each_way(|server| {
        let mut connection = server.connect();
        let began = Instant::now();
        connection.get("/waits").send().unwrap();
        let mut answer = connection.head().unwrap();
        assert!(
            began.elapsed() < Duration::from_millis(1500),
            "the head came late"
        );
        connection.body(&mut answer).unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (200, "late"));
        assert!(began.elapsed() >= Duration::from_millis(1900));
        let large = get(server.address, "/large");
        assert_eq!((large.status, large.body.len()), (200, 200_000));
        let pieces = get(server.address, "/pieces");
        assert_eq!(pieces.text(), "piece piece piece ");
        assert_eq!(
            pieces
                .headers
                .iter()
                .filter(|(name, _)| name == "x-twice")
                .count(),
            2
        );
    });
}

/// Under uvicorn the client sees a head with status 200, and then nothing.
#[test]
fn an_application_that_fails_before_its_body_is_answered_for() {
    each_way(|server| {
        for path in ["/fails", "/leaves"] {
            let answer = get(server.address, path);
            assert_eq!(
                (answer.status, answer.text().as_str()),
                (500, "Internal Server Error"),
                "{path}"
            );
        }
        server.wait_for("RuntimeError: between head and body");
        server.wait_for("ASGI callable returned without completing response.");
        // Nor does what has begun look as if it were whole.
        let begun = server.connect().get("/fails-later").response();
        assert!(begun.is_err() || begun.is_ok_and(|answer| answer.status == 500));
    });
}

#[test]
fn what_cannot_be_sent_is_told_and_something_else_can_be() {
    each_way(|server| {
        for (path, told) in [
            (
                "/illegal-field",
                "a field of the response cannot be sent: 'a b'",
            ),
            (
                "/illegal-field-later",
                "a field of the response cannot be sent: 'a b'",
            ),
            (
                "/illegal-value",
                "a field of the response cannot be sent: 'a'",
            ),
            ("/illegal-status", "a response cannot have the status 1000"),
            ("/longer", "Response content longer than Content-Length"),
            ("/shorter", "Response content shorter than Content-Length"),
            ("/twice", "after response already started"),
        ] {
            let answer = get(server.address, path);
            assert_eq!(answer.status, 200, "{path}");
            assert!(answer.text().contains(told), "{path}: {}", answer.text());
        }
    });
}

/// What is longer than a first write was sent in chunks, and HEAD was answered without a length.
#[test]
fn a_body_that_is_sent_whole_has_a_length() {
    each_way(|server| {
        let mut connection = server.connect();
        for (path, length) in [("/untold", 200_000), ("/untold-short", 10)] {
            let announced = length.to_string();
            for method in ["GET", "HEAD"] {
                let answer = connection.request(method, path).response().unwrap();
                let told = answer.header("content-length");
                assert_eq!(told, Some(&*announced), "{method} {path}");
                let sent = if method == "GET" { length } else { 0 };
                assert_eq!(answer.body.len(), sent, "{method} {path}");
            }
        }
        let empty = connection.get("/untold-empty").response().unwrap();
        assert_eq!(empty.header("content-length"), Some("0"));
        let head = connection.request("HEAD", "/untold-empty").response();
        // It may be empty because nobody is sent it.
        assert_eq!(head.unwrap().header("content-length"), None);
        let pieces = connection.request("HEAD", "/pieces").response().unwrap();
        assert_eq!(pieces.header("content-length"), None);
    });
}
