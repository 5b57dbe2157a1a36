//! A client of WebSockets, which waits for no longer than a test may.

use super::http2::{DATA, HEADERS, Http2, head};
use super::{DEADLINE, Server};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Error, HandshakeError, Message, WebSocket, client};

pub type Socket = WebSocket<TcpStream>;

pub fn request(server: &Server, path: &str) -> Request {
    let url = format!("ws://{}{path}", server.address);
    url.into_client_request().unwrap()
}

pub fn tcp(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// Opens a WebSocket, or gets the answer that there is instead.
pub fn try_open(server: &Server, request: Request) -> Result<(Socket, Response), Error> {
    client::client(request, tcp(server.address)).map_err(|error| match error {
        HandshakeError::Failure(error) => error,
        other => panic!("{other}"),
    })
}

pub fn open(server: &Server, path: &str) -> Socket {
    let opened = try_open(server, request(server, path));
    opened.unwrap_or_else(|error| panic!("{path}: {error}")).0
}

/// The next message, whatever pings come before it.
pub fn next(socket: &mut WebSocket<impl Read + Write>) -> Message {
    loop {
        match socket.read().unwrap() {
            Message::Ping(_) | Message::Pong(_) => {}
            message => return message,
        }
    }
}

/// The code and reason that the connection is closed with.
pub fn closed(socket: &mut WebSocket<impl Read + Write>) -> (u16, String) {
    loop {
        match next(socket) {
            Message::Close(Some(close)) => return (close.code.into(), close.reason.to_string()),
            Message::Close(None) => return (1005, String::new()),
            _ => {}
        }
    }
}

/// The answer of a request that gets no WebSocket.
pub fn refused(server: &Server, path: &str) -> (u16, String) {
    match try_open(server, request(server, path)) {
        Err(Error::Http(response)) => {
            let body = response.body().clone().unwrap_or_default();
            (response.status().as_u16(), String::from_utf8(body).unwrap())
        }
        Err(error) => panic!("{path}: {error}"),
        Ok(_) => panic!("{path} was accepted"),
    }
}

/// A stream of HTTP/2 that carries a WebSocket (RFC 8441), and no more than its first window in either direction.
pub struct Http2Stream {
    http2: Http2<TcpStream>,
    stream: u32,
    came: Vec<u8>,
}

/// Opens a WebSocket in a stream of a connection of its own.
pub fn open_in_http2(
    server: &Server,
    path: &str,
    fields: &[(&str, &str)],
) -> WebSocket<Http2Stream> {
    /// The first field of a head that says 200 (RFC 7541 appendix A).
    const OK: u8 = 0x88;
    let mut http2 = Http2::open(server.address).unwrap();
    let usual = [(":protocol", "websocket"), ("sec-websocket-version", "13")];
    let head = head("CONNECT", path, &[&usual[..], fields].concat());
    let stream = http2.ask(0, &head).unwrap();
    let answer = http2.wait_for(HEADERS).unwrap();
    assert_eq!(answer.payload[0], OK, "{path}");
    let stream = Http2Stream {
        http2,
        stream,
        came: Vec::new(),
    };
    WebSocket::from_raw_socket(stream, Role::Client, None)
}

impl Read for Http2Stream {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while self.came.is_empty() {
            let data = self.http2.wait_for(DATA)?;
            self.came.extend(&data.payload);
            if data.ends_stream() {
                break;
            }
        }
        let length = to.len().min(self.came.len());
        to[..length].copy_from_slice(&self.came[..length]);
        self.came.drain(..length);
        Ok(length)
    }
}

impl Write for Http2Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        /// A frame has no more bytes (RFC 9113 section 4.2).
        const FRAME: usize = 16 << 10;
        let length = bytes.len().min(FRAME);
        self.http2.send(DATA, 0, self.stream, &bytes[..length])?;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
