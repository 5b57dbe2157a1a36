//! What a client may cost, and what it is told when it wants more.

use crate::harness::http2::{self, Http2};
use crate::harness::{Connection, DEADLINE, Server, eventually, get, guest, peak};
use std::io::Write;
use std::time::{Duration, Instant};

fn behaviours(options: &[&str]) -> Server {
    Server::component(guest("behaviours")).args(options).start()
}

fn ask(connection: &mut Connection, text: &str) -> u16 {
    // A refusal may come while this is still being sent.
    let _ = connection.write(text);
    connection.response().unwrap().status
}

#[test]
fn a_head_is_bounded() {
    let server = behaviours(&["--limit-head", "2KiB", "--limit-headers", "10"]);
    let long = "x".repeat(3000);
    for (request, status) in [
        (format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), 414),
        (
            format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"),
            431,
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(10)),
            431,
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(9)),
            200,
        ),
    ] {
        let mut connection = server.connect();
        assert_eq!(ask(&mut connection, &request), status);
    }
    let mut client = Http2::open(server.address).unwrap();
    let fields = vec![("x", "y"); 11];
    let stream = client
        .ask(http2::END_STREAM, &http2::head("GET", "/", &fields))
        .unwrap();
    assert_eq!(
        client.answer(stream).unwrap(),
        b"Request Header Fields Too Large\n"
    );
}

#[test]
fn a_body_is_bounded_before_and_while_it_comes() {
    let server = behaviours(&["--limit-body", "10"]);
    let mut announced = server.connect();
    let head =
        "POST /request HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n";
    assert_eq!(ask(&mut announced, head), 413);
    let head = "POST /request HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut counted = server.connect();
    let body = "6\r\nabcdef\r\n6\r\nabcdef\r\n0\r\n\r\n";
    assert_eq!(ask(&mut counted, &format!("{head}{body}")), 413);
    let mut fits = server.connect();
    assert_eq!(
        ask(&mut fits, &format!("{head}a\r\n0123456789\r\n0\r\n\r\n")),
        200
    );
}

/// All of the chunk was waited for, and at last the client was told that it was too slow.
#[test]
fn a_chunk_that_is_beyond_the_limit_is_refused_when_it_is_announced() {
    let server = behaviours(&["--limit-body", "10", "--timeout-idle-body", "120s"]);
    let head = "POST /request HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n";
    for chunks in ["b\r\n", "3\r\nabc\r\n8;x=y\r\n", "ffffffffffffffff\r\n"] {
        let mut whole = server.connect();
        assert_eq!(ask(&mut whole, &format!("{head}\r\n{chunks}")), 413);
        // Once the guest reads it.
        let mut read = server.connect();
        read.write(format!("{head}Expect: 100-continue\r\n\r\n"))
            .unwrap();
        assert_eq!(read.head().unwrap().status, 100);
        assert_eq!(ask(&mut read, chunks), 413);
    }
    // Bodies are told apart: each may have as much.
    let mut pipelined = server.connect();
    let fits = format!("{head}\r\n9\r\n012345678\r\n0\r\n\r\n");
    pipelined.write(fits.repeat(3)).unwrap();
    for _ in 0..3 {
        assert_eq!(pipelined.response().unwrap().status, 200);
    }
    assert_eq!(ask(&mut pipelined, &format!("{head}\r\nb\r\n")), 413);
}

#[test]
fn a_body_that_does_not_come_is_a_408() {
    let server = behaviours(&["--timeout-idle-body", "300ms"]);
    let mut slow = server.connect();
    let head = "POST /request HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc";
    assert_eq!(ask(&mut slow, head), 408);
}

#[test]
fn further_connections_wait_their_turn() {
    let server = behaviours(&["--limit-connections", "2"]);
    let mut held: Vec<Connection> = (0..2).map(|_| server.connect()).collect();
    for connection in &mut held {
        connection.get("/sleep?ms=60000").send().unwrap();
    }
    let mut waiting = server.connect();
    waiting.get("/").send().unwrap();
    assert!(waiting.is_silent_for(Duration::from_millis(200)));
    held.pop();
    assert_eq!(waiting.response().unwrap().status, 200);
}

#[test]
fn a_client_that_takes_nothing_is_dropped() {
    let server = behaviours(&["--timeout-write", "500ms"]);
    let mut idle = server.connect();
    idle.get("/big?bytes=50000000").send().unwrap();
    let mut stream = Http2::open(server.address).unwrap();
    let stalled = stream.get("/big?bytes=50000000").unwrap();
    // Its window is used up and not renewed; others of the same connection go on.
    let reset = stream.wait_for(http2::RST_STREAM).unwrap();
    assert_eq!(reset.stream, stalled);
    // That of HTTP/2 is left.
    server.has_connections(1);
    let body = idle.response();
    assert!(body.is_err(), "a stalled connection was served to its end");
}

#[test]
fn slow_clients_by_the_hundred_hold_nobody_up() {
    let server = behaviours(&["--workers", "2"]);
    let mut slow: Vec<Connection> = (0..400).map(|_| server.connect()).collect();
    for connection in &mut slow {
        connection.write("GET / HTTP/1.1\r\nHo").unwrap();
    }
    let mut waits: Vec<Duration> = (0..100)
        .map(|_| {
            let start = Instant::now();
            assert_eq!(get(server.address, "/").status, 200);
            start.elapsed()
        })
        .collect();
    waits.sort();
    assert!(waits[90] < DEADLINE / 6, "{waits:?}");
    for connection in &mut slow {
        connection.write("st: a\r\n\r\n").unwrap();
        assert_eq!(connection.response().unwrap().status, 200);
    }
}

#[test]
fn a_client_that_resets_what_it_asks_for_is_shown_out() {
    let server = behaviours(&[]);
    let mut client = Http2::open(server.address).unwrap();
    let mut gone = false;
    for _ in 0..5000 {
        let Ok(stream) = client.get("/sleep?ms=60000") else {
            gone = true;
            break;
        };
        let cancel = 8_u32.to_be_bytes();
        if client.send(http2::RST_STREAM, 0, stream, &cancel).is_err() {
            gone = true;
            break;
        }
    }
    gone = gone || client.wait_for(http2::GOAWAY).is_ok() || client.is_closed();
    assert!(gone);
    assert_eq!(get(server.address, "/").status, 200);
}

#[test]
fn frames_that_belong_to_no_request_come_to_an_end() {
    let server = behaviours(&[]);
    let mut client = Http2::open(server.address).unwrap();
    let mut sent = 0;
    // Acknowledgements nobody asked for, so that no answers pile up here.
    while sent < 500_000 && client.send(http2::PING, http2::ACK, 0, &[0; 8]).is_ok() {
        sent += 1;
    }
    assert!(sent < 500_000, "the server took {sent} frames");
    assert_eq!(get(server.address, "/").status, 200);
}

#[test]
fn a_head_in_endless_pieces_comes_to_an_end() {
    const CONTINUATION: u8 = 9;
    let server = behaviours(&[]);
    let mut client = Http2::open(server.address).unwrap();
    let head = http2::head("GET", "/", &[]);
    client
        .send(http2::HEADERS, http2::END_STREAM, 1, &head)
        .unwrap();
    let field = http2::raw_head(&[("x", "y".repeat(1000).as_str())]);
    let mut sent = 0;
    while sent < 100_000 && client.send(CONTINUATION, 0, 1, &field).is_ok() {
        sent += 1;
    }
    assert!(sent < 100_000, "the server took {sent} pieces");
    assert_eq!(get(server.address, "/").status, 200);
}

#[test]
fn an_http2_connection_has_so_many_streams() {
    let server = behaviours(&["--limit-streams", "3"]);
    let mut client = Http2::open(server.address).unwrap();
    let streams: Vec<u32> = (0..5)
        .map(|_| client.get("/sleep?ms=3000").unwrap())
        .collect();
    let refused = client.wait_for(http2::RST_STREAM).unwrap();
    assert!(streams[3..].contains(&refused.stream));
    // REFUSED_STREAM (RFC 9113 section 7): it may be asked again.
    assert_eq!(refused.payload, 7_u32.to_be_bytes());
    eventually("the others are answered", || {
        client.frame().is_ok_and(|frame| frame.stream == streams[0])
    });
}

#[test]
fn an_upload_is_not_held_in_memory() {
    const MIB: u64 = 1 << 20;
    let server = behaviours(&["--max-memory", "64MiB"]);
    assert_eq!(get(server.address, "/").status, 200);
    let worker = server.workers()[0];
    let before = peak(worker);
    let mut connection = server.connect();
    connection
        .post("/request")
        .header("Content-Length", &(300 << 20).to_string())
        .send()
        .unwrap();
    let mut sender = connection.second();
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..300 {
        sender.write_all(&piece).unwrap();
    }
    assert_eq!(connection.response().unwrap().status, 200);
    let taken = (peak(worker) - before) / MIB;
    // Of 300 MiB: what the guest may have, and buffers.
    assert!(taken < 100, "{taken} MiB");
}
