//! What is no request, or could be read as two, is answered by the server and ends the connection.

use crate::harness::{Server, guest, send};

fn behaviours() -> Server {
    Server::component(guest("behaviours")).start()
}

/// The status of the answer, which must be the last.
fn status(answer: &str) -> u16 {
    let (head, rest) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    assert!(!rest.contains("HTTP/1.1"), "more than one answer: {answer}");
    let status = head.get(9..12).and_then(|status| status.parse().ok());
    status.unwrap_or_else(|| panic!("no answer: {answer:?}"))
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    let server = behaviours();
    for (request, expected) in [
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost:\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400),
        ("GET http://a/ HTTP/1.1\r\n\r\n", 400),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            501,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n folded\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nNo colon\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n", 400),
        ("GET / HTTP/1.1\nHost: a\n\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 400),
        ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /# HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        ("GET / HTTP/3.7\r\nHost: a\r\n\r\n", 505),
        ("GET / HTTX/1.1\r\nHost: a\r\n\r\n", 400),
        (
            "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\nConnection: close\r\n\r\n",
            405,
        ),
        (
            "TRACE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            405,
        ),
    ] {
        // What follows must not be taken for a request of its own.
        let answer = send(
            server.address,
            format!("{request}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"),
        );
        if expected != 405 {
            assert_eq!(status(&answer), expected, "{request:?}: {answer}");
        } else {
            assert!(answer.starts_with("HTTP/1.1 405 "), "{request:?}: {answer}");
        }
        assert!(!server.printed().contains("smuggled"), "{request:?}");
    }
}

#[test]
fn earlier_requests_are_answered_before_a_refusal() {
    let server = behaviours();
    let sound = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let answer = send(
        server.address,
        [sound, sound, "GET / HTTP/1.1\nHost: a\n\n"].concat(),
    );
    let statuses: Vec<&str> = answer.matches("HTTP/1.1 200").collect();
    assert_eq!(statuses.len(), 2, "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 400").count(), 1, "{answer}");
}

#[test]
fn a_body_whose_framing_breaks_is_a_400() {
    let server = behaviours();
    let head = "POST /request HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for body in [
        "x\r\nabc\r\n0\r\n\r\n",
        "3\nabc\r\n0\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "3\r\nabc0\r\n\r\n",
        "3;a\nb\r\nabc\r\n0\r\n\r\n",
        "-3\r\nabc\r\n0\r\n\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        "ffffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    ] {
        let answer = send(server.address, format!("{head}{body}"));
        assert_eq!(status(&answer), 400, "{body:?}: {answer}");
    }
}

#[test]
fn what_is_unusual_but_sound_is_served() {
    let server = behaviours();
    for request in [
        "\r\nGET / HTTP/1.1\r\nHost: a\r\n",
        "GET http://other:81/ HTTP/1.1\r\nHost: a\r\n",
        "GET / HTTP/1.0\r\n",
        "GET /?a=|b HTTP/1.1\r\nHost: [::1]:8000\r\n",
        "GET / HTTP/1.1\r\nhOST:a\r\nX-Empty:\r\nX: \u{e9}\r\n",
    ] {
        let answer = send(
            server.address,
            format!("{request}Connection: close\r\n\r\n"),
        );
        assert_eq!(status(&answer), 200, "{request:?}: {answer}");
    }
}

#[test]
fn a_head_that_comes_byte_by_byte_is_judged_alike() {
    let server = behaviours();
    let mut connection = server.connect();
    for byte in b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n" {
        connection.write([*byte]).unwrap();
    }
    assert_eq!(connection.response().unwrap().status, 200);
    for byte in b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" {
        connection.write([*byte]).unwrap();
    }
    assert_eq!(connection.response().unwrap().status, 400);
    assert_eq!(connection.rest().unwrap(), b"");
}

#[test]
fn what_other_servers_let_pass_is_let_pass_in_a_form_that_urls_have() {
    let server = behaviours();
    for (target, path) in [
        ("/request?a=\"b\"", "/request?a=%22b%22"),
        ("/request/<x>`", "/request/%3Cx%3E%60"),
        ("/request/\u{e9}", "/request/%C3%A9"),
        ("http://a/request?<", "/request?%3C"),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let answer = send(server.address, request);
        assert!(
            answer.contains(&format!("path {path}\n")),
            "{target}: {answer}"
        );
    }
    let later = "GET /request HTTP/1.2\r\nHost: a\r\nConnection: close\r\n\r\n";
    assert_eq!(status(&send(server.address, later)), 200);
    // An edit in the first of two, and in what comes in pieces.
    let mut connection = server.connect();
    for piece in [
        "GET /request/",
        "<",
        "> HTTP/1",
        ".2\r\nHost: a\r",
        "\n\r\n",
    ] {
        connection.write(piece).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let answer = connection.response().unwrap();
    assert!(
        answer.text().contains("path /request/%3C%3E\n"),
        "{}",
        answer.text()
    );
}

#[test]
fn each_refusal_says_why_in_the_log() {
    let server = behaviours();
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (request, expected, why) in [
        ("GET /#a HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 400, "its target is not one"),
        (format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", "A".repeat(100_000)), 501, "its method is too long"),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615\r\n\r\n".to_owned(),
            413,
            "its body is too large (413)",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
                .to_owned(),
            501,
            "it has a transfer coding other than chunked",
        ),
        (format!("{chunked}5;\r\nabcde\r\n0\r\n\r\n"), 400, "its body is broken"),
        ("TRACE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_owned(), 405, "CONNECT and TRACE"),
    ] {
        let request = match expected {
            400 if why.contains("body") => request.replace("POST / ", "POST /request "),
            _ => request,
        };
        assert_eq!(status(&send(server.address, request)), expected, "{why}");
        server.wait_for(why);
    }
}
