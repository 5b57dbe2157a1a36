//! A client of WebSockets, which waits for no longer than a test may.

use super::{DEADLINE, Server};
use std::net::{SocketAddr, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::{Request, Response};
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
pub fn next(socket: &mut Socket) -> Message {
    loop {
        match socket.read().unwrap() {
            Message::Ping(_) | Message::Pong(_) => {}
            message => return message,
        }
    }
}

/// The code and reason that the connection is closed with.
pub fn closed(socket: &mut Socket) -> (u16, String) {
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
