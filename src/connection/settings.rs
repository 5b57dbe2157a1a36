//! What a client may cost us.

use crate::request::Proxies;
use http::uri::Scheme;
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Settings {
    /// Between two requests.
    pub keep_alive: Duration,
    /// From the first byte of a request's head to its last.
    pub header: Duration,
    /// For a client to take some of what is written to it.
    pub write: Duration,
    /// Who must say whose connection it is before anything else, where that is spoken.
    pub proxy_protocol: Option<Proxies>,
    /// Whether responses say when they were made.
    pub date_header: bool,
}

/// How connections of one listener are spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    Plain,
    Tls,
    /// Every request is redirected to https, at this port.
    Redirect {
        port: u16,
    },
}

impl Door {
    pub fn of(tls: bool) -> Door {
        match tls {
            true => Door::Tls,
            false => Door::Plain,
        }
    }

    /// What clients call it.
    pub fn scheme(self) -> Scheme {
        match self {
            Door::Tls => Scheme::HTTPS,
            Door::Plain | Door::Redirect { .. } => Scheme::HTTP,
        }
    }
}
