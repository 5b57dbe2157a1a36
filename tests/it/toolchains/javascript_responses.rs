//! Heads and bodies of what applications in JavaScript answer, as they are sent.

use super::javascript::{EVENTS, HONO, PLAIN, PLATFORM, answer};
use super::{built, trials};
use crate::harness::Server;

/// Status, body, and the length that was announced.
fn asked(server: &Server, method: &str, path: &str) -> (u16, String, Option<String>) {
    let mut connection = server.connect();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: test\r\n\r\n");
    connection.write(head).unwrap();
    let mut response = connection.head().unwrap();
    if method != "HEAD" && response.status != 304 {
        connection.body(&mut response).unwrap();
    }
    let length = response.header("content-length").map(str::to_owned);
    (response.status, response.text(), length)
}

#[test]
fn head_is_answered_as_get_without_its_body() {
    let server = trials::serve(&built(PLATFORM), &[]);
    let length = |text: &str| Some(text.to_owned());
    for (path, body) in [
        ("/", "Hello, world!\n"),
        ("/wrapped", "<<inner>>"),
        ("/json", r#"{"a":1}"#),
        ("/tagged", "tagged"),
    ] {
        let expected = length(&body.len().to_string());
        let get = asked(&server, "GET", path);
        assert_eq!(get, (200, body.to_owned(), expected.clone()), "{path}");
        let head = asked(&server, "HEAD", path);
        assert_eq!(head, (200, String::new(), expected), "{path}");
    }
    assert_eq!(asked(&server, "GET", "/unmodified").0, 304);
    assert_eq!(asked(&server, "HEAD", "/announced").2, length("1000"));
    assert_eq!(asked(&server, "GET", "/announced").2, length("0"));
    assert_eq!(asked(&server, "GET", "/connection").0, 200);
    let sample = trials::serve(&built(HONO), &[]);
    assert_eq!(asked(&sample, "HEAD", "/").0, 200);
    let plain = trials::serve(&built(PLAIN), &[]);
    let announced = (200, String::new(), length("14"));
    assert_eq!(asked(&plain, "HEAD", "/"), announced);
    let events = trials::serve(&built(EVENTS), &[]);
    assert_eq!(asked(&events, "HEAD", "/").0, 200);
}

#[test]
fn a_text_is_sent_as_the_engine_would_send_it_whoever_has_looked_at_it() {
    for options in [&[][..], &["--reuse", "100"]] {
        let server = trials::serve(&built(PLATFORM), options);
        let large = "\u{e9}".repeat(100_000);
        for (of, status, text) in [
            ("plain", 200, "h\u{e9}llo"),
            ("lone", 200, "a\u{fffd}b"),
            ("empty", 200, ""),
            ("looked-at", 200, "looked at"),
            ("halved", 200, "halved"),
            ("taken-over", 200, "inner"),
            ("as-another", 200, "longer than the other"),
            ("seen-fields", 200, "seen"),
            ("announced", 200, "four"),
            ("large", 200, large.as_str()),
            ("problem", 422, r#"{"a":1}"#),
            ("json-as-another", 201, "[1]"),
            ("no-json", 200, "true"),
            ("redirect", 200, "follow,manual"),
        ] {
            let path = format!("/text/{of}");
            let (got, body, length) = asked(&server, "GET", &path);
            assert_eq!((got, body.as_str()), (status, text), "{of}");
            assert_eq!(length, Some(text.len().to_string()), "{of}");
            let head = asked(&server, "HEAD", &path);
            // Of a stream the host knows the length where it has seen all of it.
            let length = length.filter(|_| of != "halved");
            assert_eq!((head.0, head.2), (status, length), "{of}");
        }
        assert_eq!(answer(&server, "/text/read").0, 500);
        let fields = |of: &str| {
            let path = format!("/text/{of}");
            server.connect().get(&path).response().unwrap()
        };
        let large = fields("large");
        assert_eq!(large.header("x-large").map(str::len), Some(20_000));
        assert_eq!(fields("taken-over").header("x-inner"), Some("1"));
        assert_eq!(fields("as-another").header("x-other"), Some("1"));
        for (of, kind) in [
            ("problem", "application/problem+json"),
            ("json-as-another", "application/json"),
            ("plain", "text/plain;charset=UTF-8"),
        ] {
            assert_eq!(fields(of).header("content-type"), Some(kind), "{of}");
        }
        let seen = fields("seen-fields").headers;
        let cookies = seen.iter().filter(|(name, _)| name == "set-cookie");
        assert_eq!(cookies.count(), 2);
    }
}
