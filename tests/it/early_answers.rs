//! Answers that come before the request was read to its end, or after its client has stopped sending.

use crate::harness::certificates::Authority;
use crate::harness::http2::{self, Http2};
use crate::harness::{Connection, DEADLINE, Server, guest, upload};
use rustls::{ClientConnection, StreamOwned};
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

fn behaviours(options: &[&str]) -> Server {
    Server::component(guest("behaviours")).args(options).start()
}

/// The connection was closed over what was still coming, and the answer lost.
#[test]
fn an_upload_that_nobody_reads_does_not_cost_the_answer() {
    let open = behaviours(&[]);
    let small = behaviours(&["--limit-body", "1000"]);
    for length in [100_000, 1_000_000, 5_000_000] {
        for (server, target, field, status) in [
            (&open, "/ignore-body", "", 200),
            (&open, "/respond?status=401", "", 401),
            (&open, "/trap-before-head", "", 500),
            (&open, "/ignore-body", "Connection: close\r\n", 200),
            (&open, "/", "Host: b\r\n", 400),
            (&small, "/", "", 413),
        ] {
            let answer = upload(
                server.address,
                target,
                &format!("Host: a\r\n{field}"),
                length,
            );
            let answer = answer.unwrap_or_else(|error| panic!("{target} {field:?}: {error}"));
            let line = format!("HTTP/1.1 {status} ");
            assert!(answer.starts_with(&line), "{target} {field:?}: {answer}");
        }
    }
}

#[test]
fn a_connection_goes_on_after_an_upload_that_nobody_read() {
    let server = behaviours(&["--timeout-keep-alive", "300ms"]);
    let mut connection = server.connect();
    let mut sender = connection.second();
    sender
        .write_all(b"POST /ignore-body HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n")
        .unwrap();
    for _ in 0..30 {
        sender.write_all(&[b'x'; 100_000]).unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(connection.response().unwrap().text(), "ignored\n");
    assert_eq!(connection.get("/").response().unwrap().text(), "ok\n");
}

#[test]
fn a_full_house_is_told_to_those_who_upload_too() {
    let server = behaviours(&["--limit-concurrency", "1", "--limit-queue", "0"]);
    let mut busy = server.connect();
    busy.get("/slow-stream?n=2&ms=3000").send().unwrap();
    busy.head().unwrap();
    let answer = upload(server.address, "/", "Host: a\r\n", 2_000_000).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
}

#[test]
fn static_files_answer_those_who_upload_too() {
    let root = env!("CARGO_MANIFEST_DIR");
    let server = behaviours(&["--static", &format!("/files={root}/guests/hello")]);
    let mut connection = server.connect();
    let mut sender = connection.second();
    sender
        .write_all(b"GET /files/hello.wat HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n")
        .unwrap();
    for _ in 0..30 {
        sender.write_all(&[b'x'; 100_000]).unwrap();
    }
    assert_eq!(connection.response().unwrap().status, 200);
}

/// The rest of such a body was lost, and the connection with it.
#[test]
fn a_request_of_http2_is_read_to_its_end_after_the_answer() {
    const LENGTH: usize = 20_000_000;
    const PIECE: usize = 16_000;
    let server = behaviours(&[]);
    for target in ["/early-response?ms=10", "/ignore-body"] {
        let mut client = Http2::open(server.address).unwrap();
        let first = client.get("/").unwrap();
        client.answer(first).unwrap();
        let stream = client.ask(0, &http2::head("POST", target, &[])).unwrap();
        let mut room = [1_usize << 20; 2];
        for _ in 0..LENGTH / PIECE {
            while room.iter().any(|room| *room < PIECE) {
                let frame = client.raw_frame().unwrap();
                assert_ne!(frame.kind, http2::RST_STREAM, "{target}");
                if frame.kind == http2::WINDOW_UPDATE {
                    let more = u32::from_be_bytes(frame.payload[..4].try_into().unwrap());
                    room[usize::from(frame.stream == stream)] += more as usize;
                }
            }
            client.send(http2::DATA, 0, stream, &[b'x'; PIECE]).unwrap();
            room = room.map(|room| room - PIECE);
        }
        client
            .send(http2::DATA, http2::END_STREAM, stream, b"")
            .unwrap();
        let next = client.get("/").unwrap();
        assert_eq!(client.answer(next).unwrap(), b"ok\n");
    }
    server.wait_for("afterwork done, 20000000 bytes read");
}

/// curl stopped to send once it had as much of the answer as the head announced.
#[test]
fn curl_sends_all_of_a_request_after_the_answer() {
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("early-answers");
    std::fs::write(&file, vec![b'x'; 20_000_000]).unwrap();
    let server = behaviours(&[]);
    for (protocol, count) in [("--http1.1", 1), ("--http2-prior-knowledge", 2)] {
        let output = std::process::Command::new("curl")
            .args([
                "--silent",
                protocol,
                "--max-time",
                "60",
                "--header",
                "expect:",
            ])
            .arg("--data-binary")
            .arg(format!("@{}", file.display()))
            .args(["--write-out", "%{http_code} %{size_upload}"])
            .arg(format!("http://{}/early-response?ms=10", server.address))
            .output()
            .expect("curl is there");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(said, "answered\n200 20000000", "{protocol}");
        server.wait_for_count("afterwork done, 20000000 bytes read, whole", count);
    }
}

/// A client that had half-closed its connection got no answer.
#[test]
fn a_client_that_sends_no_more_gets_its_answer() {
    let server = behaviours(&[]);
    for target in [
        "/",
        "/sleep?ms=300",
        "/big?bytes=500000",
        "/slow-stream?n=3&ms=100",
    ] {
        for fields in ["", "Connection: close\r\n"] {
            let mut connection = server.connect();
            let head = format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
            connection.write(head).unwrap();
            connection.second().shutdown(Shutdown::Write).unwrap();
            assert_eq!(connection.response().unwrap().status, 200, "{target}");
            assert_eq!(connection.rest().unwrap(), b"");
        }
    }
    let mut connection = server.connect();
    connection
        .write("POST /request HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    connection.second().shutdown(Shutdown::Write).unwrap();
    assert_eq!(connection.response().unwrap().status, 200);
    assert_eq!(connection.response().unwrap().text(), "ok\n");
}

#[test]
fn a_client_of_http2_that_sends_no_more_gets_its_answers() {
    let server = behaviours(&[]);
    let socket = TcpStream::connect(server.address).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let end = socket.try_clone().unwrap();
    let mut client = Http2::over(socket).unwrap();
    let slow = client.get("/sleep?ms=300").unwrap();
    client.get("/").unwrap();
    end.shutdown(Shutdown::Write).unwrap();
    let mut ended = 0;
    while ended < 2 {
        // What is to be acknowledged cannot be any more.
        let frame = client.raw_frame().unwrap();
        ended += u32::from(frame.ends_stream());
        assert!(
            frame.kind != http2::RST_STREAM || frame.stream != slow,
            "{frame:?}"
        );
    }
}

/// What a client of TLS has after its `close_notify`, which says that it sends no more. (`openssl s_client` leaves at
/// once when it has said that.)
#[test]
fn a_client_of_tls_that_sends_no_more_gets_its_answer() {
    let authority = Authority::new();
    let pair = authority.issue("server", &["localhost"]);
    let server = behaviours(&[
        "--ssl-certfile",
        &pair.certificate,
        "--ssl-keyfile",
        &pair.key,
    ]);
    let open = |protocol: &str| {
        let socket = TcpStream::connect(server.address).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        let name = "localhost".try_into().unwrap();
        let session = ClientConnection::new(authority.client(protocol), name).unwrap();
        StreamOwned::new(session, socket)
    };
    for target in ["/", "/sleep?ms=300", "/big?bytes=500000"] {
        let mut stream = open("http/1.1");
        let head = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        stream.conn.send_close_notify();
        stream.flush().unwrap();
        let mut connection = Connection::over(Box::new(stream));
        assert_eq!(connection.response().unwrap().status, 200, "{target}");
        assert_eq!(connection.rest().unwrap(), b"");
    }
    let mut client = Http2::over(open("h2")).unwrap();
    let stream = client.get("/sleep?ms=300").unwrap();
    client.stream.conn.send_close_notify();
    client.stream.flush().unwrap();
    let mut body = Vec::new();
    loop {
        // What is to be acknowledged cannot be any more.
        let frame = client.raw_frame().unwrap();
        if (frame.kind, frame.stream) == (http2::DATA, stream) {
            body.extend(&frame.payload);
        }
        assert_ne!(frame.kind, http2::RST_STREAM, "{frame:?}");
        if frame.ends_stream() {
            break;
        }
    }
    assert!(String::from_utf8_lossy(&body).contains("slept"));
}

#[test]
fn a_client_that_leaves_makes_room_for_those_who_wait() {
    let server = behaviours(&["--limit-concurrency", "1"]);
    let mut gone = server.connect();
    gone.get("/sleep?ms=25000").send().unwrap();
    server.wait_for("Application startup complete");
    let mut next = server.connect();
    next.get("/").send().unwrap();
    drop(gone);
    let start = Instant::now();
    assert_eq!(next.response().unwrap().text(), "ok\n");
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_body_that_waits_to_be_asked_for_is_asked_for_over_http2() {
    // `:status: 100` in Huffman code (RFC 7541 appendix B).
    const CONTINUE: &[u8] = &[0x48, 0x82, 0x08, 0x01];
    let server = behaviours(&["--limit-body", "1000"]);
    let mut client = Http2::open(server.address).unwrap();
    let head = |length| {
        http2::head(
            "POST",
            "/request",
            &[("expect", "100-continue"), ("content-length", length)],
        )
    };
    let stream = client.ask(0, &head("3")).unwrap();
    let first = client.wait_for(http2::HEADERS).unwrap();
    assert!(!first.ends_stream());
    assert!(first.payload.starts_with(CONTINUE), "{first:?}");
    client
        .send(http2::DATA, http2::END_STREAM, stream, b"abc")
        .unwrap();
    let answer = client.answer(stream).unwrap();
    assert!(
        String::from_utf8_lossy(&answer).contains("body 3\n"),
        "{answer:?}"
    );
    // What is refused is not asked for.
    let stream = client.ask(0, &head("2000")).unwrap();
    let first = client.wait_for(http2::HEADERS).unwrap();
    assert!(!first.payload.starts_with(CONTINUE), "{first:?}");
    assert_eq!(client.answer(stream).unwrap(), b"Payload Too Large\n");
}

/// curl (7.88) loses an answer right after whose end its stream is reset.
#[test]
fn the_stream_of_a_client_that_is_not_asked_for_its_body_outlives_the_answer() {
    let root = env!("CARGO_MANIFEST_DIR");
    let files = format!("/files={root}/guests/hello");
    let server = behaviours(&["--limit-body", "1000", "--static", &files]);
    for (target, length) in [
        ("/ignore-body", "3"),
        ("/respond?status=404", "3"),
        ("/files/hello.wat", "3"),
        ("/files", "3"),
        ("/", "2000"),
    ] {
        let mut client = Http2::open(server.address).unwrap();
        let fields = [("expect", "100-continue"), ("content-length", length)];
        let head = http2::head("POST", target, &fields);
        let stream = client.ask(0, &head).unwrap();
        client.answer(stream).unwrap();
        client.send(http2::PING, 0, 0, &[7; 8]).unwrap();
        loop {
            let frame = client.raw_frame().unwrap();
            assert_ne!(frame.kind, http2::RST_STREAM, "{target}");
            if (frame.kind, frame.flags) == (http2::PING, http2::ACK) {
                break;
            }
        }
        // It may send all the same.
        client.send(http2::DATA, 0, stream, b"ab").unwrap();
        client
            .send(http2::DATA, http2::END_STREAM, stream, b"c")
            .unwrap();
        let next = client.get("/").unwrap();
        assert_eq!(client.answer(next).unwrap(), b"ok\n", "{target}");
    }
}

/// A client that stops at an error (curl) ends its request short of the length that it announced: the rest of the
/// answer was lost over that. A guest that reads is told that the request is not whole.
#[test]
fn a_request_of_http2_that_ends_short_after_the_head_of_its_answer_does_not_cost_the_rest() {
    let server = behaviours(&["--limit-body", "1000000"]);
    for (target, length) in [
        ("/respond?status=404", "100000"),
        ("/respond?status=500&body=x", "100000"),
        ("/early-response", "100000"),
        ("/", "2000000"),
    ] {
        let mut client = Http2::open(server.address).unwrap();
        let head = http2::head("POST", target, &[("content-length", length)]);
        let stream = client.ask(0, &head).unwrap();
        client.send(http2::DATA, 0, stream, &[b'x'; 9]).unwrap();
        assert!(!client.wait_for(http2::HEADERS).unwrap().ends_stream());
        client
            .send(http2::DATA, http2::END_STREAM, stream, b"y")
            .unwrap();
        client.answer(stream).unwrap();
        let next = client.get("/").unwrap();
        assert_eq!(client.answer(next).unwrap(), b"ok\n", "{target}");
    }
    server.wait_for("afterwork done, 10 bytes read, broken");
}

/// RFC 9113 section 3.4.
#[test]
fn what_is_no_http2_where_only_that_is_spoken_is_a_connection_error() {
    let two = behaviours(&["--http", "2"]);
    for garbage in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
        "\u{0}\u{1}\u{2}garbage",
    ] {
        let mut connection = Connection::open(two.address);
        connection.write(garbage).unwrap();
        connection.second().shutdown(Shutdown::Write).unwrap();
        let said = connection.rest().unwrap();
        let goaway = |bytes: &[u8]| bytes.len() >= 17 && bytes[3] == http2::GOAWAY;
        assert!(goaway(&said[9..]), "{said:?}");
        assert!(!said.windows(5).any(|part| part == b"HTTP/"), "{said:?}");
    }
    let both = behaviours(&[]);
    let mut connection = Connection::open(both.address);
    connection
        .write("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n")
        .unwrap();
    let said = connection.rest().unwrap();
    assert!(said.starts_with(b"HTTP/1.1 "), "{said:?}");
}
