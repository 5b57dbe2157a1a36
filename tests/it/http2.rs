//! HTTP/2, over TLS and in clear text.

use crate::harness::http2::{self, Http2};
use crate::harness::{HOLDING, Server, guest};
use nix::sys::signal::Signal;
use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};

fn behaviours(options: &[&str]) -> Server {
    Server::component(guest("behaviours")).args(options).start()
}

#[test]
fn clear_text_is_spoken_with_prior_knowledge() {
    let server = behaviours(&[]);
    let url = format!("http://{}/request", server.address);
    for (option, version) in [("--http2-prior-knowledge", "2"), ("--http1.1", "1.1")] {
        let output = Command::new("curl")
            .args([
                "--silent",
                option,
                "--write-out",
                "%{http_version} %{http_code}",
                &url,
            ])
            .output()
            .expect("curl is there");
        let answer = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(answer.ends_with(&format!("{version} 200")), "{answer}");
        assert!(
            answer.contains(&format!("authority {}\n", server.address)),
            "{answer}"
        );
    }
    server.wait_for("\"GET /request HTTP/2\" 200 OK");
}

#[test]
fn streams_of_one_connection_are_answered_side_by_side() {
    let server = behaviours(&[]);
    let mut client = Http2::open(server.address).unwrap();
    let slow = client.get("/sleep?ms=3000").unwrap();
    let quick = client.get("/").unwrap();
    let ended = loop {
        let frame = client.frame().unwrap();
        if frame.ends_stream() {
            break frame.stream;
        }
    };
    assert_eq!(ended, quick, "it was asked later, and is answered first");
    assert_eq!(client.answer(slow).unwrap(), b"slept\n");
}

#[test]
fn a_failure_after_the_head_resets_the_stream_and_not_its_neighbours() {
    let server = behaviours(&[]);
    let mut client = Http2::open(server.address).unwrap();
    let failing = client.get("/trap-after-head").unwrap();
    assert!(client.answer(failing).is_err());
    let sound = client.get("/").unwrap();
    assert_eq!(client.answer(sound).unwrap(), b"ok\n");
}

#[test]
fn malformed_requests_are_refused_and_their_neighbours_served() {
    let server = behaviours(&[]);
    let mut client = Http2::open(server.address).unwrap();
    let pseudo = [(":method", "GET"), (":scheme", "http"), (":path", "/")];
    let authority = (":authority", "a");
    for fields in [
        vec![],
        vec![authority, ("host", "b")],
        vec![(":authority", "u@a")],
        vec![(":authority", "a/b")],
        vec![(":authority", "")],
    ] {
        let head = http2::raw_head(pseudo.iter().chain(&fields));
        let stream = client.ask(http2::END_STREAM, &head).unwrap();
        // An answer of ours, or a reset of the stream by the protocol's own rules.
        let answer = client.answer(stream);
        assert!(!answer.is_ok_and(|body| body == b"ok\n"), "{fields:?}");
    }
    for field in [
        ("connection", "close"),
        ("transfer-encoding", "chunked"),
        ("X-Upper", "a"),
    ] {
        let mut client = Http2::open(server.address).unwrap();
        let head = http2::raw_head(pseudo.iter().chain([&authority, &field]));
        let stream = client.ask(http2::END_STREAM, &head).unwrap();
        let answer = client.answer(stream);
        assert!(!answer.is_ok_and(|body| body == b"ok\n"), "{field:?}");
    }
    let sound = client.get("/").unwrap();
    assert_eq!(client.answer(sound).unwrap(), b"ok\n");
}

#[test]
fn a_stop_says_goodbye_and_finishes_what_was_asked() {
    let mut server = behaviours(&HOLDING);
    let mut client = Http2::open(server.address).unwrap();
    // It is answered when its body has ended.
    let head = http2::head("POST", "/request", &[]);
    let stream = client.ask(0, &head).unwrap();
    server.answers_now(1);
    server.signal(Signal::SIGTERM);
    let goodbye = client.wait_for(http2::GOAWAY).unwrap();
    assert!(goodbye.last_stream() >= stream);
    client
        .send(http2::DATA, http2::END_STREAM, stream, b"x")
        .unwrap();
    let answer = client.answer(stream).unwrap();
    assert!(answer.starts_with(b"method "), "{}", answer.escape_ascii());
    assert!(client.is_closed());
    assert_eq!(server.wait().code(), Some(0));
}

/// The first alone was looked at (RFC 9113 section 8.1.1).
#[test]
fn a_request_with_two_lengths_is_malformed_as_in_http1() {
    /// `:status: 400` (RFC 7541 appendix A).
    const BAD_REQUEST: &[u8] = &[0x8c];
    let server = behaviours(&[]);
    for second in ["3", "4"] {
        let mut client = Http2::open(server.address).unwrap();
        let fields = [("content-length", "3"), ("content-length", second)];
        let head = http2::head("POST", "/request", &fields);
        client.ask(0, &head).unwrap();
        let answer = client.wait_for(http2::HEADERS).unwrap();
        assert!(answer.payload.starts_with(BAD_REQUEST), "{answer:?}");
    }
}

#[test]
fn an_idle_connection_does_not_hold_up_a_stop() {
    let mut server = behaviours(&[]);
    let mut client = Http2::open(server.address).unwrap();
    let stream = client.get("/").unwrap();
    client.answer(stream).unwrap();
    let start = Instant::now();
    server.signal(Signal::SIGTERM);
    // The client does not read, and so never says that it has heard.
    assert_eq!(server.wait().code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn an_idle_connection_is_told_and_closed_after_a_while() {
    let server = behaviours(&["--timeout-keep-alive", "300ms"]);
    let mut client = Http2::open(server.address).unwrap();
    let stream = client.get("/").unwrap();
    client.answer(stream).unwrap();
    client.wait_for(http2::GOAWAY).unwrap();
    assert!(client.is_closed());
}

#[test]
fn only_one_version_is_spoken_where_only_one_is_wanted() {
    let one = behaviours(&["--http", "1"]);
    let mut client = Http2::open(one.address).unwrap();
    assert!(client.frame().is_err(), "HTTP/2 was spoken");
    let two = behaviours(&["--http", "2"]);
    let mut client = Http2::open(two.address).unwrap();
    let stream = client.get("/").unwrap();
    assert_eq!(client.answer(stream).unwrap(), b"ok\n");
}

#[test]
fn a_third_partys_load_is_served_whole() {
    let server = behaviours(&["--workers", "2"]);
    let output = Command::new("h2load")
        .args([
            "-n",
            "5000",
            "-c",
            "10",
            "-m",
            "20",
            &format!("http://{}/", server.address),
        ])
        .output()
        .expect("h2load is there");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.contains("5000 succeeded, 0 failed, 0 errored, 0 timeout"),
        "{said}"
    );
}

#[test]
fn a_cookie_in_pieces_reaches_the_guest_as_one() {
    let server = behaviours(&[]);
    let mut client = Http2::open(server.address).unwrap();
    let cookies = [("cookie", "a=1"), ("cookie", "b=2"), ("x-client", "c")];
    let asked = client
        .ask(5, &http2::head("GET", "/request", &cookies))
        .unwrap();
    let seen = String::from_utf8(client.answer(asked).unwrap()).unwrap();
    assert!(seen.contains("header cookie: a=1; b=2\n"), "{seen}");
    assert_eq!(seen.matches("cookie").count(), 1, "{seen}");
}

/// The library beneath drops these fields of trailers, and took the request for a sound one (RFC 9113 section 8.1).
#[test]
fn trailers_with_pseudo_header_fields_are_malformed() {
    let server = behaviours(&[]);
    let mut client = Http2::open(server.address).unwrap();
    // `:method: POST` and `:path: /request`, the latter in the client's table from here on.
    let head = b"\x83\x86\x01\x04test\x44\x08/request";
    let sound = http2::raw_head(&[("x-sum", "1")]);
    let trailers = [
        http2::raw_head(&[(":path", "/other")]),
        http2::raw_head(&[(":status", "200")]),
        http2::raw_head(&[("x-sum", "1"), (":authority", "other")]),
        b"\x82".to_vec(),
        b"\xbe".to_vec(),
    ];
    for trailers in trailers {
        let stream = client.ask(0, head).unwrap();
        client.send(http2::DATA, 0, stream, b"body").unwrap();
        let ends = http2::END_HEADERS | http2::END_STREAM;
        client
            .send(http2::HEADERS, ends, stream, &trailers)
            .unwrap();
        let answer = client.wait_for(http2::HEADERS).unwrap();
        assert_eq!(
            (answer.stream, answer.payload[0]),
            (stream, 0x8c),
            "{trailers:?}"
        );
        let stream = client.ask(0, head).unwrap();
        client.send(http2::DATA, 0, stream, b"body").unwrap();
        client.send(http2::HEADERS, ends, stream, &sound).unwrap();
        let seen = String::from_utf8(client.answer(stream).unwrap()).unwrap();
        assert!(seen.contains("trailer x-sum: 1"), "{seen}");
    }
}

/// The stream was reset without an answer and without a word in the log.
#[test]
fn a_head_that_is_malformed_is_answered_and_logged() {
    let server = behaviours(&[]);
    let mut client = Http2::open(server.address).unwrap();
    let well_formed = [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "test"),
        (":path", "/"),
    ];
    let mut heads: Vec<Vec<u8>> = ["/a#b", "/a b", "/a\u{7f}", "a/b", "/\u{1}"]
        .iter()
        .map(|path| http2::head("GET", path, &[]))
        .collect();
    heads.push(http2::raw_head(&well_formed[1..]));
    heads.push(http2::raw_head(&well_formed[..3]));
    heads.push(http2::head("GET", "/", &[("connection", "close")]));
    for (count, head) in heads.iter().enumerate() {
        let stream = client.ask(1, head).unwrap();
        let answer = client.wait_for(1).unwrap();
        // `:status 400`, and the end.
        assert_eq!((answer.stream, answer.payload[0]), (stream, 0x8c));
        assert!(answer.ends_stream());
        server.wait_for_count("refused a request: its head is malformed (400)", count + 1);
    }
    let sound = client.get("/").unwrap();
    assert_eq!(client.answer(sound).unwrap(), b"ok\n");
}

#[test]
fn targets_are_percent_encoded_as_in_http_1() {
    let server = behaviours(&[]);
    let mut client = Http2::open(server.address).unwrap();
    for (path, encoded) in [
        ("/request?\u{e9}", "/request?%C3%A9"),
        ("/request?{|}^", "/request?{|}^"),
    ] {
        let stream = client.get(path).unwrap();
        let body = String::from_utf8(client.answer(stream).unwrap()).unwrap();
        assert!(body.contains(encoded), "{path}: {body}");
    }
}

/// One ended the whole connection; what `#` begins was dropped.
#[test]
fn a_target_that_no_url_has_costs_at_most_its_own_stream() {
    let server = Server::component(guest("behaviours")).start();
    let mut client = Http2::open(server.address).unwrap();
    let slow = client.get("/sleep?ms=300").unwrap();
    let mut odd = http2::head("GET", "/request?a=<caf~>\"`", &[]);
    let tilde = odd.iter().position(|byte| *byte == b'~').unwrap();
    odd[tilde] = 0xe9;
    // The second time it is in the client's table, where it is indexed.
    for first in [0, 0x40] {
        let path = odd
            .windows(6)
            .position(|part| part == b"\x05:path")
            .unwrap();
        odd[path - 1] = first;
        let stream = client.ask(http2::END_STREAM, &odd).unwrap();
        let answer = String::from_utf8(client.answer(stream).unwrap()).unwrap();
        let told = "path /request?a=%3Ccaf%E9%3E%22%60\n";
        assert!(answer.contains(told), "{answer}");
    }
    let rest = http2::raw_head(&[(":method", "GET"), (":scheme", "http"), (":authority", "a")]);
    let again = [&rest[..], &[0x80 | 62]].concat();
    let stream = client.ask(http2::END_STREAM, &again).unwrap();
    let answer = String::from_utf8(client.answer(stream).unwrap()).unwrap();
    assert!(answer.contains("a=%3Ccaf%E9%3E%22%60\n"), "{answer}");
    for target in ["/a#b", "/a b", "/a\u{7f}"] {
        let stream = client.get(target).unwrap();
        assert_eq!(client.answer(stream).unwrap(), b"", "{target}");
    }
    server.wait_for_count("refused a request: its head is malformed (400)", 3);
    let stream = client.get("/").unwrap();
    assert_eq!(client.answer(stream).unwrap(), b"ok\n");
    assert!(slow < stream);
}

/// Where a head crossed the end of what was read at a time, its target ended the connection, or lost what `#` begins.
#[test]
fn a_target_is_the_same_however_its_head_comes() {
    const TOLD: &str = "path /request?a=%3Ccaf%E9%3E";
    let server = behaviours(&[]);
    let mut client = Http2::open(server.address).unwrap();
    let mut odd = http2::head("GET", "/request?a=<caf~>", &[]);
    let tilde = odd.iter().position(|byte| *byte == b'~').unwrap();
    odd[tilde] = 0xe9;

    // In two frames and in two pieces, of which the first has been read when the other is sent.
    for at in [0, 1, tilde, tilde + 1, odd.len() - 1, odd.len()] {
        let stream = client.next_stream();
        let mut begun = http2::framed(http2::PING, 0, 0, b"are here");
        begun.extend(http2::framed(
            http2::HEADERS,
            http2::END_STREAM,
            stream,
            &odd[..at],
        ));
        let rest = http2::framed(http2::CONTINUATION, http2::END_HEADERS, stream, &odd[at..]);
        client
            .stream
            .write_all(&begun[..begun.len() - at / 2])
            .unwrap();
        while client.raw_frame().unwrap().payload != b"are here" {}
        begun.drain(..begun.len() - at / 2);
        begun.extend(rest);
        client.stream.write_all(&begun).unwrap();
        let answer = String::from_utf8(client.answer(stream).unwrap()).unwrap();
        assert!(answer.contains(TOLD), "divided at {at}: {answer}");
    }

    // So many at once that heads lie across the end of whatever is read at a time.
    for _ in 0..4 {
        let mut burst = Vec::new();
        let streams: Vec<u32> = (0..90).map(|_| client.next_stream()).collect();
        for (number, stream) in streams.iter().enumerate() {
            let refused = http2::head("GET", "/a#b", &[("x-fill", &"x".repeat(number))]);
            let head = if number % 9 == 0 { &refused } else { &odd };
            let flags = http2::END_STREAM | http2::END_HEADERS;
            burst.extend(http2::framed(http2::HEADERS, flags, *stream, head));
        }
        client.stream.write_all(&burst).unwrap();
        let mut bodies = client.answers(&streams).unwrap();
        for (number, stream) in streams.iter().enumerate() {
            let body = String::from_utf8(bodies.remove(stream).unwrap()).unwrap();
            match number % 9 {
                0 => assert_eq!(body, ""),
                _ => assert!(body.contains(TOLD), "{number}: {body}"),
            }
        }
    }
}
