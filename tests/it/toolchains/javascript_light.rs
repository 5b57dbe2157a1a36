//! Requests and responses of JavaScript that the engine has not made yet.

use super::javascript::{PLATFORM, answer};
use super::{built, trials};
use crate::harness::{Server, Upstream};

/// Sends a head as it is. Gives the text of the answer.
fn raw(server: &Server, head: &str) -> String {
    let mut connection = server.connect();
    connection.write(format!("{head}\r\n\r\n")).unwrap();
    let mut response = connection.head().unwrap();
    connection.body(&mut response).unwrap();
    response.text()
}

const HOSTS: [(&str, &str); 5] = [
    ("a.test", "a.test"),
    ("A.Test:8080", "a.test:8080"),
    ("a.test:80", "a.test"),
    ("127.1", "127.0.0.1"),
    ("[0::1]:0080", "[::1]"),
];

/// Paths and queries, and what a URL has of them (URL standard, sections 4.4 and 1.3).
const TARGETS: [(&str, &str); 14] = [
    ("/?told-url", "/?told-url"),
    ("//a//b/?told-url", "//a//b/?told-url"),
    (
        "/a-b_c~1.x;y=1,2:@!$&()*+?told-url",
        "/a-b_c~1.x;y=1,2:@!$&()*+?told-url",
    ),
    ("/a/../b?told-url", "/b?told-url"),
    ("/a/./b?told-url", "/a/b?told-url"),
    ("/a/..?told-url", "/?told-url"),
    ("/a/%2E%2e/b?told-url", "/b?told-url"),
    ("/a/.%2e/b?told-url", "/b?told-url"),
    (
        "/a/.hidden/..b/%2Ec?told-url",
        "/a/.hidden/..b/%2Ec?told-url",
    ),
    (
        "/told-url/%zz%e9%20?a=%zz%27&b=/../",
        "/told-url/%zz%e9%20?a=%zz%27&b=/../",
    ),
    ("/told-url?", "/told-url?"),
    ("/told-url?a='b'", "/told-url?a=%27b%27"),
    ("/told-url?a=/./b&c=?d", "/told-url?a=/./b&c=?d"),
    ("/told-url'(x)", "/told-url'(x)"),
];

#[test]
fn a_url_is_what_the_engine_would_make_of_it() {
    for options in [&[][..], &["--reuse", "100"]] {
        let server = trials::serve(&built(PLATFORM), options);
        for (host, authority) in HOSTS {
            for (target, path) in TARGETS {
                let told = raw(&server, &format!("GET {target} HTTP/1.1\r\nHost: {host}"));
                let url = format!("http://{authority}{path}");
                let expected = serde_json::json!([url, url]).to_string();
                assert_eq!(told, expected, "{host} {target}");
            }
        }
    }
}

#[test]
fn what_the_engine_has_not_made_yet_is_as_what_it_has_made() {
    for options in [&[][..], &["--reuse", "100"]] {
        let server = trials::serve(&built(PLATFORM), options);
        for _ in 0..3 {
            let head = "GET /light/request HTTP/1.1\r\nHost: test\r\nX-A: 1\r\nX-A: 2";
            assert_eq!(raw(&server, head), "[]");
            assert_eq!(answer(&server, "/light/response"), (200, "[]".to_owned()));
        }
    }
}

#[test]
fn a_response_that_the_engine_has_not_made_is_sent_as_it_is() {
    for options in [&[][..], &["--reuse", "100"]] {
        let server = trials::serve(&built(PLATFORM), options);
        let sent = |of: &str| {
            let path = format!("/light/{of}");
            server.connect().get(&path).response().unwrap()
        };
        for (of, status, own, cookies) in [
            ("fields", 404, "1", 1),
            ("heir", 200, "1", 0),
            ("changed", 200, "2", 2),
            ("another-status", 418, "1", 0),
        ] {
            let response = sent(of);
            assert_eq!(
                (response.status, response.text()),
                (status, "h\u{e9}llo".into()),
                "{of}"
            );
            assert_eq!(response.header("x-a"), Some(own), "{of}");
            assert_eq!(response.header("content-length"), Some("6"), "{of}");
            let kind = response.header("content-type");
            assert_eq!(kind, Some("text/plain;charset=UTF-8"), "{of}");
            let set = response
                .headers
                .iter()
                .filter(|(name, _)| name == "set-cookie");
            assert_eq!(set.count(), cookies, "{of}");
        }
    }
}

#[test]
fn a_request_that_was_answered_says_that_its_fields_are_gone() {
    let server = Server::component(&built(PLATFORM)[..])
        .workers(1)
        .arg("--reuse=100")
        .start();
    assert_eq!(answer(&server, "/light/kept"), (200, "none".to_owned()));
    let (status, told) = answer(&server, "/light/kept");
    assert_eq!(status, 200);
    assert!(
        told.starts_with("TypeError: the request was answered"),
        "{told}"
    );
}

/// There is no URL of `*`.
#[test]
fn a_request_about_the_server_is_one_for_its_root() {
    let server = trials::serve(&built(PLATFORM), &[]);
    let root = raw(&server, "OPTIONS / HTTP/1.1\r\nHost: a.test:80");
    for host in ["a.test:80", "a.test"] {
        for _ in 0..3 {
            let told = raw(&server, &format!("OPTIONS * HTTP/1.1\r\nHost: {host}"));
            assert_eq!(told, root, "{host}");
        }
    }
    let printed = server.printed();
    assert!(!printed.contains("trap"), "{printed}");
}

#[test]
fn a_request_is_sent_on() {
    let upstream = Upstream::friendly();
    let address = upstream.address;
    let server = trials::serve(
        &built(PLATFORM),
        &["--allow-http", &format!("http://{address}")],
    );
    let head = format!("GET /light/forwarded?a=b HTTP/1.1\r\nHost: {address}\r\nX-A: 1");
    assert_eq!(raw(&server, &head), "hello");
    let seen = upstream.seen().remove(0).head.to_lowercase();
    assert!(seen.starts_with("get /light/forwarded?a=b "), "{seen}");
    assert!(seen.contains("\r\nx-a: 1\r\n"), "{seen}");
}

#[test]
fn a_regular_expression_without_end_is_ended() {
    trials::a_regular_expression_without_end_is_ended(&built(PLATFORM));
}
