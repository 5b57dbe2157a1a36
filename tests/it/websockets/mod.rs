//! WebSockets: the handshake, messages, and how a connection ends.

mod attacks;
mod conformance;
mod frames;
mod http2;
mod lifetimes;
mod memory;

use crate::harness::certificates::Authority;
use crate::harness::websocket::{Socket, closed, next, open, refused, request, tcp, try_open};
use crate::harness::{Server, get, guest};
use rustls::{ClientConnection, StreamOwned};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Bytes, Message, client};

/// A server of the guest that does what its path says.
pub fn start(options: &[&str]) -> Server {
    Server::component(guest("behaviours-websocket"))
        .args(options)
        .start()
}

fn comes_back(socket: &mut Socket, message: Message) {
    socket.send(message.clone()).unwrap();
    assert!(
        next(socket) == message,
        "a message of {} bytes",
        message.len()
    );
}

#[test]
fn messages_of_every_kind_and_size_come_back() {
    let server = start(&[]);
    for path in ["/echo", "/watch"] {
        let mut socket = open(&server, path);
        comes_back(&mut socket, Message::text("hello"));
        comes_back(&mut socket, Message::text("\u{1f980} \u{e4}"));
        comes_back(&mut socket, Message::text(""));
        comes_back(&mut socket, Message::binary(Vec::new()));
        for size in [1, 125, 126, 65_535, 65_536, 1 << 20, 5 << 20] {
            comes_back(&mut socket, Message::binary(vec![7; size]));
        }
        let part = |text: &'static str, code, last| {
            Message::Frame(Frame::message(
                Bytes::from_static(text.as_bytes()),
                code,
                last,
            ))
        };
        socket
            .send(part("in ", OpCode::Data(Data::Text), false))
            .unwrap();
        socket
            .send(Message::Ping(Bytes::from_static(b"between")))
            .unwrap();
        socket
            .send(part("two", OpCode::Data(Data::Continue), true))
            .unwrap();
        let pong = socket.read().unwrap();
        assert_eq!(pong, Message::Pong(Bytes::from_static(b"between")));
        assert_eq!(next(&mut socket), Message::text("in two"));
        socket.close(None).unwrap();
        assert_eq!(closed(&mut socket).0, 1005);
    }
    server.wait_for("it was closed with 1005");
}

#[test]
fn the_guest_sees_the_request_and_chooses_a_subprotocol() {
    let server = start(&[]);
    let mut request = request(&server, "/opening?a=b");
    let headers = request.headers_mut();
    headers.insert("sec-websocket-protocol", "first, second".parse().unwrap());
    headers.insert("x-own", "value".parse().unwrap());
    let (mut socket, response) = try_open(&server, request).unwrap();
    assert_eq!(response.status(), 101);
    assert_eq!(response.headers()["sec-websocket-protocol"], "second");
    assert_eq!(response.headers()["set-cookie"], "a=b");
    assert!(!response.headers().contains_key("sec-websocket-extensions"));
    let mut said = Vec::new();
    while let Message::Text(text) = next(&mut socket) {
        said.push(text.to_string());
    }
    let authority = format!("authority {}", server.address);
    for line in [
        "method GET",
        "path /opening?a=b",
        "scheme http",
        authority.as_str(),
        "version 1.1",
        "client true",
        "header x-own: value",
        "header upgrade: websocket",
    ] {
        assert!(said.iter().any(|said| said == line), "{line} in {said:?}");
    }
}

#[test]
fn a_guest_rejects_with_an_answer_of_its_own() {
    let server = start(&[]);
    assert_eq!(refused(&server, "/reject"), (403, "not today\n".to_owned()));
    let (status, _) = refused(&server, "/reject?status=101");
    assert_eq!(status, 400);
    assert_eq!(refused(&server, "/return-before").0, 500);
    assert_eq!(refused(&server, "/trap-before").0, 500);
    server.wait_for("\"GET /trap-before\"");
}

#[test]
fn a_guest_that_does_not_answer_in_time_is_given_up() {
    let server = start(&["--timeout-request", "300ms"]);
    assert_eq!(refused(&server, "/wait-before").0, 504);
}

/// What a plain client is answered that asks in this way.
fn asked(server: &Server, fields: &str) -> crate::harness::Response {
    let mut connection = server.connect();
    let usual = "Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
    connection
        .write(format!("GET /echo HTTP/1.1\r\n{usual}{fields}\r\n"))
        .unwrap();
    connection.head().unwrap()
}

#[test]
fn a_handshake_that_is_none_is_refused() {
    let server = start(&[]);
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let version = "Sec-WebSocket-Version: 13\r\n";
    let old = asked(&server, &format!("{key}Sec-WebSocket-Version: 8\r\n"));
    assert_eq!(old.status, 426);
    assert_eq!(old.header("sec-websocket-version"), Some("13"));
    assert_eq!(asked(&server, version).status, 400);
    let short = format!("{version}Sec-WebSocket-Key: c2hvcnQ=\r\n");
    assert_eq!(asked(&server, &short).status, 400);
    let body = format!("{key}{version}Content-Length: 3\r\n");
    assert_eq!(asked(&server, &body).status, 400);
    let sound = asked(&server, &format!("{key}{version}"));
    assert_eq!(sound.status, 101);
    let proof = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    assert_eq!(sound.header("sec-websocket-accept"), Some(proof));
}

#[test]
fn ordinary_requests_are_answered_beside_it() {
    let server = start(&[]);
    let mut socket = open(&server, "/echo");
    assert_eq!(get(server.address, "/").text(), "an ordinary answer\n");
    comes_back(&mut socket, Message::text("still there"));
    // The upgrade to another protocol is the application's business, as it was.
    let mut connection = server.connect();
    assert_eq!(
        connection
            .get("/")
            .header("Connection", "Upgrade")
            .header("Upgrade", "other")
            .response()
            .unwrap()
            .status,
        200
    );
}

#[test]
fn a_component_without_the_export_answers_the_handshake_at_once() {
    let server = Server::component(guest("hello")).start();
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
    assert_eq!(asked(&server, key).status, 200);
}

#[test]
fn either_end_closes_with_a_code_and_a_reason() {
    let server = start(&[]);
    let mut socket = open(&server, "/close?code=4001&reason=enough");
    assert_eq!(closed(&mut socket), (4001, "enough".to_owned()));
    // A code that must not be sent becomes 1000.
    let mut socket = open(&server, "/close?code=1005");
    assert_eq!(closed(&mut socket).0, 1000);
    let mut socket = open(&server, "/watch");
    let close = CloseFrame {
        code: 4002.into(),
        reason: "I am done".into(),
    };
    socket.close(Some(close)).unwrap();
    assert_eq!(closed(&mut socket), (4002, "I am done".to_owned()));
    server.wait_for("it was closed with 4002 I am done");
    server.wait_for("\"WebSocket /watch\" closed 4002 (I am done) after ");
    // One that returns has closed.
    let mut socket = open(&server, "/opening");
    assert_eq!(closed(&mut socket).0, 1000);
}

#[test]
fn the_opening_and_the_end_each_have_a_line_in_the_log() {
    let server = start(&[]);
    let mut socket = open(&server, "/echo?a=b");
    server.wait_for("\"GET /echo?a=b HTTP/1.1\" 101 Switching Protocols");
    assert!(!server.printed().contains("\"WebSocket /echo?a=b\""));
    comes_back(&mut socket, Message::text("hello"));
    drop(socket);
    let line = server.wait_for("\"WebSocket /echo?a=b\" closed 1006 after ");
    assert!(line.contains("1 messages received, 1 sent"), "{line}");
}

#[test]
fn a_guest_pings_its_client() {
    let server = start(&[]);
    let mut socket = open(&server, "/ping");
    let ping = socket.read().unwrap();
    assert_eq!(ping, Message::Ping(Bytes::from_static(b"are you there")));
}

#[test]
fn it_is_served_over_tls() {
    let authority = Authority::new();
    let pair = authority.issue("server", &["localhost"]);
    let options = [
        "--ssl-certfile",
        &pair.certificate,
        "--ssl-keyfile",
        &pair.key,
    ];
    let server = start(&options);
    let name = "localhost".try_into().unwrap();
    let session = ClientConnection::new(authority.client("http/1.1"), name).unwrap();
    let stream = StreamOwned::new(session, tcp(server.address));
    let (mut socket, _) = client::client(request(&server, "/opening"), stream).unwrap();
    let mut said = Vec::new();
    while let Message::Text(text) = socket.read().unwrap() {
        said.push(text.to_string());
    }
    assert!(said.contains(&"scheme https".to_owned()), "{said:?}");
    let session = authority.client("http/1.1");
    let session = ClientConnection::new(session, "localhost".try_into().unwrap()).unwrap();
    let stream = StreamOwned::new(session, tcp(server.address));
    let (mut socket, _) = client::client(request(&server, "/echo"), stream).unwrap();
    let large = Message::binary(vec![1; 2 << 20]);
    socket.send(large.clone()).unwrap();
    assert!(socket.read().unwrap() == large);
}
