//! This file makes the TLS handshake, beside the accept loop and within its time.

use super::refusal::{HeadRefusal, refused};
use super::socket::Socket;
use super::tls_sniffer::TlsSniffer;
use super::transport::Transport;
use http::StatusCode;
use rustls::ServerConfig;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// A `Handshake` says how it came out.
pub enum Handshake {
    /// The handshake is done.
    Done {
        transport: Transport,
        chosen: Chosen,
    },
    /// The client does not speak TLS; it is told in the language that it seems to speak.
    Plain {
        socket: Socket,
        refusal: HeadRefusal,
    },
    /// The handshake failed; the log is told why.
    Failed(String),
    /// The client left before it said anything, as health checks do.
    Left,
}

/// `Chosen` says which protocol a client has chosen by its name (ALPN, RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chosen {
    Http1,
    Http2,
    /// The client has not named any: what it sends first tells.
    None,
}

impl Chosen {
    fn named(name: Option<&[u8]>) -> Chosen {
        match name {
            Some(b"h2") => Chosen::Http2,
            Some(_) => Chosen::Http1,
            None => Chosen::None,
        }
    }
}

/// The client speaks HTTP where HTTPS is spoken.
const PLAIN: HeadRefusal = refused(
    StatusCode::BAD_REQUEST,
    "it is plain HTTP, sent to an HTTPS port",
);

pub async fn shake_hands(config: Arc<ServerConfig>, socket: Socket, limit: Duration) -> Handshake {
    let accept = TlsAcceptor::from(config)
        .accept(TlsSniffer::new(socket))
        .into_fallible();
    match timeout(limit, accept).await {
        Ok(Ok(stream)) => Handshake::Done {
            chosen: Chosen::named(stream.get_ref().1.alpn_protocol()),
            transport: Transport::Tls(Box::new(stream)),
        },
        Ok(Err((_, greeted))) if greeted.is_plain() => Handshake::Plain {
            socket: greeted.into_socket(),
            refusal: PLAIN,
        },
        Ok(Err((_, silent))) if silent.is_silent() => Handshake::Left,
        Ok(Err((error, _))) => Handshake::Failed(error.to_string()),
        Err(_) => Handshake::Failed("the handshake did not end in time".to_owned()),
    }
}
