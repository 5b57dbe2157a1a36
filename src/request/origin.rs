//! An `Origin` says where a request came from, as far as its connection knows.

use http::uri::Scheme;
use std::fmt;
use std::net::SocketAddr;

/// A `Peer` is the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    Inet(SocketAddr),
    /// The peer is whoever may open the socket's file; clients have no address there (unix(7)).
    Unix,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Inet(address) => address.fmt(f),
            Peer::Unix => f.write_str("unix:"),
        }
    }
}

/// An `Origin` has what is known of a request before its head is read.
#[derive(Clone, Debug)]
pub struct Origin {
    pub peer: Peer,
    /// The client connected to this address, where there is one.
    pub server: Option<SocketAddr>,
    pub scheme: Scheme,
}
