//! Clients that ask again and again, and know a lost request from one that may be asked anew.

use super::certificates::Authority;
use super::http2::{self, Http2};
use super::{Connection, DEADLINE, Socket, Target};
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::io;
use std::net::TcpStream;
use std::sync::Arc;

/// How a client speaks.
#[derive(Clone, Copy, Debug)]
pub enum Speaks {
    Http1 { keep: bool },
    Http2,
}

pub trait Asker: Send {
    /// Asks once. An error is a request that was lost.
    fn ask(&mut self) -> io::Result<()>;
}

impl Speaks {
    pub fn asker(self, target: &Target, authority: Option<&Authority>) -> Box<dyn Asker> {
        let tls = authority.map(|authority| {
            let alpn = match self {
                Speaks::Http1 { .. } => "http/1.1",
                Speaks::Http2 => "h2",
            };
            authority.client(alpn)
        });
        let server = Server {
            target: target.clone(),
            tls,
        };
        match self {
            Speaks::Http1 { keep } => Box::new(Http1Asker {
                server,
                keep,
                kept: None,
            }),
            Speaks::Http2 => Box::new(Http2Asker { server, kept: None }),
        }
    }
}

/// Whom to ask.
struct Server {
    target: Target,
    tls: Option<Arc<ClientConfig>>,
}

impl Socket for StreamOwned<ClientConnection, TcpStream> {}

impl Server {
    fn open(&self) -> io::Result<Box<dyn Socket>> {
        let (Some(tls), Target::Inet(address)) = (&self.tls, &self.target) else {
            return super::client::connect(&self.target);
        };
        let mut socket = TcpStream::connect_timeout(address, DEADLINE)?;
        socket.set_read_timeout(Some(DEADLINE))?;
        socket.set_nodelay(true)?;
        let name = "localhost".try_into().unwrap();
        let mut session = ClientConnection::new(tls.clone(), name).map_err(io::Error::other)?;
        session.complete_io(&mut socket)?;
        Ok(Box::new(StreamOwned::new(session, socket)))
    }
}

struct Http1Asker {
    server: Server,
    keep: bool,
    kept: Option<Connection>,
}

impl Asker for Http1Asker {
    fn ask(&mut self) -> io::Result<()> {
        let mut connection = match self.kept.take() {
            Some(connection) => connection,
            None => Connection::over(self.server.open()?),
        };
        let close = if self.keep {
            ""
        } else {
            "Connection: close\r\n"
        };
        connection.write(format!("GET / HTTP/1.1\r\nHost: test\r\n{close}\r\n"))?;
        let response = connection.response()?;
        assert_eq!(response.status, 200, "{}", response.text());
        if self.keep && response.header("connection") != Some("close") {
            self.kept = Some(connection);
        }
        Ok(())
    }
}

struct Http2Asker {
    server: Server,
    kept: Option<Http2<Box<dyn Socket>>>,
}

impl Asker for Http2Asker {
    fn ask(&mut self) -> io::Result<()> {
        loop {
            let mut connection = match self.kept.take() {
                Some(connection) => connection,
                None => Http2::over(self.server.open()?)?,
            };
            let mut going = false;
            let stream = connection.get("/")?;
            loop {
                let frame = connection.frame()?;
                if frame.kind == http2::DATA && !frame.payload.is_empty() {
                    // Else the connection's window is used up after some thousand answers (RFC 9113 section 6.9).
                    let taken = u32::try_from(frame.payload.len()).unwrap();
                    connection.send(http2::WINDOW_UPDATE, 0, 0, &taken.to_be_bytes())?;
                }
                if frame.kind == http2::GOAWAY {
                    going = true;
                    if frame.last_stream() < stream {
                        // It was not begun, and may be asked elsewhere (RFC 9113 section 6.8).
                        break;
                    }
                }
                if frame.stream == stream && frame.kind == http2::RST_STREAM {
                    // With the code that says why (RFC 9113 section 7).
                    let why = format!("the stream was reset: {:?}", frame.payload);
                    return Err(io::Error::new(io::ErrorKind::ConnectionReset, why));
                }
                if frame.stream == stream && frame.ends_stream() {
                    self.kept = (!going).then_some(connection);
                    return Ok(());
                }
            }
        }
    }
}
