//! Clients that take much, or take nothing, beside those that want an answer.

use crate::harness::http2::{self, Http2};
use crate::harness::{Connection, DEADLINE, HOLDING, Server, eventually, get, guest};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

fn behaviours(options: &[&str]) -> Server {
    Server::component(guest("behaviours")).args(options).start()
}

/// A client that has no room for any answer (SETTINGS_INITIAL_WINDOW_SIZE).
fn without_room(address: SocketAddr, window: u32) -> Http2<TcpStream> {
    const INITIAL_WINDOW_SIZE: u16 = 4;
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let setting = [
        &INITIAL_WINDOW_SIZE.to_be_bytes()[..],
        &window.to_be_bytes(),
    ]
    .concat();
    Http2::with_settings(socket, &setting).unwrap()
}

/// Eleven such clients ended the service of a worker, each holding a hundred permits.
#[test]
fn answers_that_nobody_takes_hold_no_permits() {
    for path in ["/", "/big?bytes=50000", "/afterwork?ms=20"] {
        let server = behaviours(&["--limit-concurrency", "20", "--limit-queue", "1000"]);
        let mut idle: Vec<_> = (0..3).map(|_| without_room(server.address, 0)).collect();
        for client in &mut idle {
            for _ in 0..100 {
                client.get(path).unwrap();
            }
            client.wait_for(http2::HEADERS).unwrap();
        }
        for _ in 0..20 {
            assert_eq!(get(server.address, "/").status, 200, "{path}");
        }
    }
}

#[test]
fn a_stream_that_stands_still_is_reset_whatever_its_size() {
    let server = behaviours(&["--timeout-write", "500ms"]);
    for (window, path) in [
        (0, "/"),
        (1, "/"),
        (0, "/afterwork?ms=1"),
        (0, "/big?bytes=8000"),
        (100, "/big?bytes=8000"),
        (70_000, "/big?bytes=1000000"),
    ] {
        let mut client = without_room(server.address, window);
        let stream = client.get(path).unwrap();
        let reset = client.wait_for(http2::RST_STREAM).unwrap();
        assert_eq!(reset.stream, stream, "{path} with a window of {window}");
    }
}

#[test]
fn permits_are_taken_from_clients_that_do_not_keep_up_where_others_wait() {
    let server = behaviours(&["--limit-concurrency", "6", "--limit-queue", "100"]);
    // Bodies by the byte, before and after the head of the answer, and answers that are too large to be kept.
    let mut drips: Vec<Connection> = Vec::new();
    for target in ["/request", "/early-response", "/request"] {
        let mut drip = server.connect();
        let head = format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nx");
        drip.write(head).unwrap();
        drips.push(drip);
    }
    let mut stalled = without_room(server.address, 0);
    for _ in 0..3 {
        stalled.get("/big?bytes=10000000").unwrap();
    }
    stalled.wait_for(http2::HEADERS).unwrap();
    let end = Instant::now() + Duration::from_secs(3);
    while Instant::now() < end {
        for drip in &mut drips {
            // Some are shown out meanwhile.
            let _ = drip.write("x");
        }
        assert_eq!(get(server.address, "/").status, 200);
    }
}

#[test]
fn a_client_that_only_drips_is_given_up_and_one_that_waits_is_not() {
    let server = behaviours(&[]);
    let mut uploads = server.connect();
    uploads
        .write("POST /request HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nx")
        .unwrap();
    let mut answered = server.connect();
    answered
        .write("POST /early-response HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nx")
        .unwrap();
    let mut stream = Http2::open(server.address).unwrap();
    let head = http2::head("POST", "/request", &[("content-length", "1000")]);
    let upload = stream.ask(0, &head).unwrap();
    // These wait for the guest, and are not waited for.
    let mut events = server.connect();
    events.get("/slow-stream?n=14&ms=1000").send().unwrap();
    let mut slow = server.connect();
    slow.get("/sleep?ms=14000").send().unwrap();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(13) {
        let _ = uploads.write("x");
        let _ = answered.write("x");
        let _ = stream.send(http2::DATA, 0, upload, b"x");
        std::thread::sleep(Duration::from_millis(500));
    }
    assert_eq!(uploads.response().unwrap().status, 408);
    assert_eq!(answered.response().unwrap().status, 200);
    assert!(
        answered
            .write("x")
            .and_then(|()| answered.rest())
            .is_ok_and(|rest| rest.is_empty())
            || answered.write("x").is_err()
    );
    assert_eq!(stream.answer(upload).unwrap(), b"Request Timeout\n");
    assert_eq!(events.response().unwrap().status, 200);
    assert_eq!(slow.response().unwrap().status, 200);
}

#[test]
fn one_client_does_not_have_all_permits_while_there_are_others() {
    let server = behaviours(&["--limit-concurrency", "4", "--limit-queue", "20"]);
    let ask = |client: &str, target: &str| {
        let mut connection = server.connect();
        connection
            .get(target)
            .header("X-Forwarded-For", client)
            .send()
            .unwrap();
        connection
    };
    assert_eq!(ask("192.0.2.2", "/").response().unwrap().status, 200);
    // By other addresses of one network.
    let busy: Vec<Connection> = (0..10)
        .map(|number| ask(&format!("2001:db8::{number}"), "/sleep?ms=600000"))
        .collect();
    for _ in 0..10 {
        assert_eq!(ask("192.0.2.2", "/").response().unwrap().status, 200);
    }
    drop(busy);
}

#[test]
fn the_idlest_connection_makes_room_for_a_new_one() {
    let options = [&HOLDING[..], &["--limit-connections", "3"]].concat();
    let server = behaviours(&options);
    let mut oldest = server.connect();
    oldest.get("/").response().unwrap();
    let mut busy = server.connect();
    busy.hold();
    server.answers_now(1);
    let mut newer = server.connect();
    newer.get("/").response().unwrap();
    assert_eq!(get(server.address, "/").status, 200);
    assert_eq!(oldest.rest().unwrap(), b"");
    busy.release();
    assert_eq!(newer.get("/").response().unwrap().status, 200);
}

#[test]
fn frames_that_bring_nothing_come_to_an_end_beside_an_open_stream() {
    const PRIORITY: u8 = 2;
    const UNKNOWN: u8 = 0x77;
    let server = behaviours(&[]);
    for (kind, flags, on_stream, payload) in [
        (http2::WINDOW_UPDATE, 0, true, &1_u32.to_be_bytes()[..]),
        (http2::WINDOW_UPDATE, 0, false, &1_u32.to_be_bytes()),
        (PRIORITY, 0, true, &[0, 0, 0, 0, 16]),
        (http2::PING, 0, false, &[0; 8]),
        (http2::PING, http2::ACK, false, &[0; 8]),
        (http2::SETTINGS, 0, false, &[]),
        (http2::DATA, 0, true, &[]),
        (UNKNOWN, 0, false, &[0; 8]),
    ] {
        let mut client = Http2::open(server.address).unwrap();
        let head = http2::head("POST", "/sleep?ms=60000", &[]);
        let stream = client.ask(0, &head).unwrap();
        let stream = if on_stream { stream } else { 0 };
        let mut sent = 0;
        while sent < 200_000 && client.send(kind, flags, stream, payload).is_ok() {
            sent += 1;
        }
        assert!(
            sent < 200_000,
            "the server took {sent} frames of kind {kind}"
        );
        assert_eq!(get(server.address, "/").status, 200);
    }
}

#[test]
fn the_window_of_a_large_answer_is_renewed_as_often_as_clients_like() {
    let server = behaviours(&[]);
    let mut client = Http2::open(server.address).unwrap();
    let stream = client.get("/big?bytes=20000000").unwrap();
    let mut got = 0;
    while got < 20_000_000 {
        let frame = client.wait_for(http2::DATA).unwrap();
        got += frame.payload.len();
        let more = u32::try_from(frame.payload.len()).unwrap().to_be_bytes();
        if !frame.payload.is_empty() {
            client.send(http2::WINDOW_UPDATE, 0, stream, &more).unwrap();
            client.send(http2::WINDOW_UPDATE, 0, 0, &more).unwrap();
        }
    }
}

#[test]
fn a_head_of_http2_that_does_not_come_in_time_ends_its_connection() {
    let server = behaviours(&["--timeout-header", "500ms"]);
    for beside in [false, true] {
        let mut client = Http2::open(server.address).unwrap();
        if beside {
            client.get("/sleep?ms=60000").unwrap();
        }
        let head = http2::head("GET", "/", &[]);
        let (begun, _) = head.split_at(5);
        client
            .send(http2::HEADERS, http2::END_STREAM, 5, begun)
            .unwrap();
        let start = Instant::now();
        client.wait_for(http2::GOAWAY).unwrap();
        assert!(client.is_closed());
        assert!(start.elapsed() < Duration::from_secs(10));
    }
}

#[test]
fn a_slow_reader_that_keeps_up_gets_all_of_its_answer() {
    let server = behaviours(&["--timeout-write", "1s"]);
    let mut slow = server.connect();
    slow.get("/big?bytes=8000000").send().unwrap();
    assert_eq!(slow.head().unwrap().status, 200);
    // Every pause is shorter than what is allowed, while less is taken than makes the socket writable.
    let (mut taken, mut before) = (0, 0);
    while let Some(chunk) = slow.chunk().unwrap() {
        taken += chunk.len();
        if taken >= before + 400_000 {
            before = taken;
            std::thread::sleep(Duration::from_millis(200));
        }
    }
    assert_eq!(taken, 8_000_000);
    eventually("others are served", || {
        get(server.address, "/").status == 200
    });
}
