//! Clients that hold all connections of a worker with what they do not finish, beside one that wants an answer.

use crate::harness::http2::{self, framed};
use crate::harness::{Connection, Server, guest};
use std::net::Ipv4Addr;

/// Neither a head's own time nor a kept connection's is what makes room here.
const PATIENT: [&str; 6] = [
    "--limit-connections",
    "20",
    "--timeout-header",
    "600s",
    "--timeout-keep-alive",
    "600s",
];

fn behaviours(options: &[&str]) -> Server {
    Server::component(guest("behaviours"))
        .args(&PATIENT)
        .args(options)
        .start()
}

/// A client that is none of those who hold the worker's connections.
fn elsewhere(server: &Server) -> Connection {
    Connection::from(Ipv4Addr::new(127, 0, 0, 2), server.address)
}

/// More connections than there may be, each with the beginning of something.
fn crowd(server: &Server, begun: &[u8]) -> Vec<Connection> {
    let open = |_| {
        let mut connection = server.connect();
        connection.write(begun).unwrap();
        connection
    };
    (0..40).map(open).collect()
}

/// Such clients kept everybody out for as long as they liked: for each that was closed another one waited.
#[test]
fn heads_that_are_not_finished_keep_nobody_out() {
    let block = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        framed(http2::SETTINGS, 0, 0, &[]),
        framed(http2::HEADERS, 0, 1, &[0x82, 0x86, 0x84]),
    ]
    .concat();
    for begun in [
        &b"GET / HTTP/1.1\r\nHost: test\r\nA: "[..],
        b"PRI * HTTP/2.0\r\n\r\nSM",
        &block,
        &block[..40],
        b"",
    ] {
        // Connections of a proxy are many clients'.
        let server = behaviours(&["--forwarded-allow-ips", "192.0.2.1"]);
        let mut slow = elsewhere(&server);
        slow.write("GET / HTTP/1.1\r\nHo").unwrap();
        let crowd = crowd(&server, begun);
        let mut good = elsewhere(&server);
        let status = good.get("/").response().unwrap().status;
        assert_eq!(status, 200, "{}", begun.escape_ascii());
        // Who is slow, and one, keeps its place.
        slow.write("st: test\r\n\r\n").unwrap();
        assert_eq!(slow.response().unwrap().status, 200);
        drop(crowd);
    }
}

#[test]
fn proxy_headers_that_are_not_finished_keep_nobody_out() {
    for begun in [&b"PROXY TCP4 1."[..], b"\r\n\r\n\0\r\nQUIT\n\x21", b""] {
        let server = behaviours(&["--proxy-protocol", "--forwarded-allow-ips", "127.0.0.0/8"]);
        let crowd = crowd(&server, begun);
        let mut good = elsewhere(&server);
        good.write("PROXY TCP4 192.0.2.7 192.0.2.1 4096 80\r\n")
            .unwrap();
        let status = good.get("/").response().unwrap().status;
        assert_eq!(status, 200, "{}", begun.escape_ascii());
        drop(crowd);
    }
}

/// What was answered before is no reason to stay either, and what is running is.
#[test]
fn heads_that_are_not_finished_after_an_answer_keep_nobody_out() {
    let server = behaviours(&[]);
    let mut running = server.connect();
    running.get("/sleep?ms=8000").send().unwrap();
    server.answers_now(1);
    let mut slow: Vec<Connection> = (0..18).map(|_| server.connect()).collect();
    for connection in &mut slow {
        assert_eq!(connection.get("/").response().unwrap().status, 200);
        connection.write("GET / HTTP/1.1\r\nHo").unwrap();
    }
    let mut early = server.connect();
    early
        .write("POST /early-response HTTP/1.1\r\nHost: test\r\nContent-Length: 100000\r\n\r\nabc")
        .unwrap();
    let mut good: Vec<Connection> = (0..5).map(|_| elsewhere(&server)).collect();
    for connection in &mut good {
        assert_eq!(connection.get("/").response().unwrap().status, 200);
        connection.write("GET / HTTP/1.1\r\nHo").unwrap();
    }
    assert_eq!(running.response().unwrap().text(), "slept\n");
}
