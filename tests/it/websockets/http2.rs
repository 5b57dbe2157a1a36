//! WebSockets in streams of HTTP/2 (RFC 8441).

use super::frames::frame;
use super::start;
use crate::harness::http2::{DATA, HEADERS, Http2, RST_STREAM, SETTINGS, head};
use crate::harness::{DEADLINE, Server};
use std::collections::HashMap;
use std::net::TcpStream;

/// The first field of a head that says 200 (RFC 7541 appendix A).
const OK: u8 = 0x88;

/// SETTINGS_ENABLE_CONNECT_PROTOCOL (RFC 8441 section 3).
const ENABLED: [u8; 6] = [0, 8, 0, 0, 0, 1];

struct Client {
    http2: Http2<TcpStream>,
    came: HashMap<u32, Vec<u8>>,
}

impl Client {
    /// Asks for a WebSocket; the stream, and the first byte of the head of the answer.
    fn open(&mut self, path: &str, version: &str) -> (u32, u8) {
        let fields = [
            (":protocol", "websocket"),
            ("sec-websocket-version", version),
        ];
        let stream = self.http2.ask(0, &head("CONNECT", path, &fields)).unwrap();
        let answer = self.http2.wait_for(HEADERS).unwrap();
        assert_eq!(answer.stream, stream);
        (stream, answer.payload[0])
    }

    fn send(&mut self, stream: u32, bytes: &[u8]) {
        self.http2.send(DATA, 0, stream, bytes).unwrap();
    }

    /// So many bytes of a stream, and no more; what comes of others is kept.
    fn receive(&mut self, stream: u32, length: usize) -> Vec<u8> {
        loop {
            let bytes = self.came.entry(stream).or_default();
            if bytes.len() >= length {
                return bytes.drain(..length).collect();
            }
            let data = self.http2.wait_for(DATA).unwrap();
            self.came
                .entry(data.stream)
                .or_default()
                .extend(data.payload);
        }
    }
}

fn connect(server: &Server) -> Client {
    Client {
        http2: Http2::open(server.address).unwrap(),
        came: HashMap::new(),
    }
}

#[test]
fn streams_become_websockets_beside_each_other_and_beside_requests() {
    let server = start(&[]);
    let mut client = connect(&server);
    let settings = client.http2.raw_frame().unwrap();
    assert_eq!(settings.kind, SETTINGS);
    assert!(settings.payload.chunks(6).any(|setting| setting == ENABLED));
    let (first, status) = client.open("/echo", "13");
    assert_eq!(status, OK);
    let (second, status) = client.open("/echo", "13");
    assert_eq!(status, OK);
    client.send(second, &frame(0x81, b"two"));
    client.send(first, &frame(0x81, b"one"));
    assert_eq!(client.receive(second, 5), b"\x81\x03two");
    client.send(first, &frame(0x81, b"more"));
    assert_eq!(client.receive(first, 11), b"\x81\x03one\x81\x04more");
    let stream = client.http2.get("/").unwrap();
    assert_eq!(
        client.http2.answer(stream).unwrap(),
        b"an ordinary answer\n"
    );
    let (own, status) = client.open("/close?code=4001&reason=x", "13");
    assert_eq!(status, OK);
    assert_eq!(client.receive(own, 5), b"\x88\x03\x0f\xa1x");
    client.send(first, &frame(0x88, &1000_u16.to_be_bytes()));
    assert_eq!(client.receive(first, 4), b"\x88\x02\x03\xe8");
    server.wait_for("\"WebSocket /echo\" closed 1000 after ");
    server.wait_for("\"CONNECT /echo HTTP/2\" 200 OK");
}

#[test]
fn what_is_refused_has_an_ordinary_answer() {
    let server = start(&[]);
    let mut client = connect(&server);
    let (stream, status) = client.open("/reject", "13");
    assert_ne!(status, OK);
    assert_eq!(client.receive(stream, 10), b"not today\n");
    let (_, status) = client.open("/echo", "8");
    assert_ne!(status, OK);
    server.wait_for("\"CONNECT /reject HTTP/2\" 403 Forbidden");
    server.wait_for("\"CONNECT /echo HTTP/2\" 426 Upgrade Required");
    // Another protocol is refused as before.
    let fields = [(":protocol", "other")];
    client
        .http2
        .ask(0, &head("CONNECT", "/echo", &fields))
        .unwrap();
    server.wait_for("\"CONNECT /echo HTTP/2\" 405 Method Not Allowed");
}

/// It holds the answer, and a stream of the connection that requests go on over.
#[test]
fn a_client_that_makes_no_room_for_a_rejection_has_its_stream_reset() {
    let server = start(&["--timeout-write", "1s"]);
    let setting = [&4_u16.to_be_bytes()[..], &0_u32.to_be_bytes()].concat();
    let socket = TcpStream::connect(server.address).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut client = Client {
        http2: Http2::with_settings(socket, &setting).unwrap(),
        came: HashMap::new(),
    };
    let (stream, status) = client.open("/reject", "13");
    assert_ne!(status, OK);
    let reset = client.http2.wait_for(RST_STREAM).unwrap();
    assert_eq!(reset.stream, stream);
}

#[test]
fn a_stream_whose_client_leaves_ends_its_guest() {
    let server = start(&[]);
    let mut client = connect(&server);
    client.open("/watch", "13");
    drop(client);
    server.wait_for("it was closed with 1006");
}
