//! What a client may cost us, and how it is spoken to.

pub use super::framing::Limits;
pub use crate::channel::ListenerKind;

use crate::request::Proxies;
use http::uri::Scheme;
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Settings {
    pub protocols: Protocols,
    /// For a TLS handshake.
    pub handshake: Duration,
    /// Between two requests.
    pub keep_alive: Duration,
    /// From the first byte of a request's head to its last.
    pub header: Duration,
    /// For a client to take some of what is written to it.
    pub write: Duration,
    /// Bytes per second that a client must take or send while it is waited for.
    pub rate: u64,
    /// Who must say whose connection it is before anything else, where that is spoken.
    pub proxy_protocol: Option<Proxies>,
    /// Whether responses say when they were made.
    pub date_header: bool,
    /// Lines of the head of every response, for those that answer what never became a request.
    pub fields: String,
    pub head: Limits,
    /// Requests of one HTTP/2 connection that are answered at a time.
    pub streams: u32,
    /// Connections of one worker.
    pub connections: u32,
}

/// The versions of HTTP that are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocols {
    Both,
    Http1,
    Http2,
}

impl ListenerKind {
    pub fn of(tls: bool) -> ListenerKind {
        match tls {
            true => ListenerKind::Tls,
            false => ListenerKind::Plain,
        }
    }

    /// Gives what clients call it.
    pub fn scheme(self) -> Scheme {
        match self {
            ListenerKind::Tls => Scheme::HTTPS,
            ListenerKind::Plain | ListenerKind::Redirect { .. } => Scheme::HTTP,
        }
    }
}
