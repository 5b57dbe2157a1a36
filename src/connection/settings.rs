//! `Settings` says what a client may cost us, and how it is spoken to.

pub use super::framing::HeadLimits;
pub use crate::channel::ListenerKind;

use crate::request::Proxies;
use http::uri::Scheme;
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Settings {
    pub protocols: Protocols,
    /// A TLS handshake may take this long.
    pub handshake: Duration,
    /// This much time may pass between two requests.
    pub keep_alive: Duration,
    /// This much time may pass from the first byte of a request's head to its last.
    pub header: Duration,
    /// A client may take this long to take some of what is written to it.
    pub write: Duration,
    /// A client must take or send this many bytes per second while it is waited for.
    pub rate: u64,
    /// These peers must say whose connection it is before anything else, where that is spoken.
    pub proxy_protocol: Option<Proxies>,
    /// Responses say when they were made.
    pub date_header: bool,
    /// The head of every response has these lines, for answers to what never became a request.
    pub fields: String,
    pub head: HeadLimits,
    /// This many requests of one HTTP/2 connection are answered at a time.
    pub streams: u32,
    /// One worker has this many connections.
    pub connections: u32,
}

/// `Protocols` are the versions of HTTP that are spoken.
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
