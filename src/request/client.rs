//! A `Client` is who sent a request, as far as it is known: for the log, and for guests that ask for it.

use super::Peer;
use std::fmt;
use std::net::SocketAddr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// The client is the other end of the connection.
    Peer(Peer),
    /// A trusted proxy names this address; its port is 0 where the proxy names none, as in uvicorn's log.
    Forwarded(SocketAddr),
    /// A trusted proxy will not, or cannot, name the client (RFC 7239 section 6.3).
    Hidden,
}

impl Client {
    /// Returns the client's address, where it has one that is known.
    pub fn address(self) -> Option<SocketAddr> {
        match self {
            Client::Peer(Peer::Inet(address)) | Client::Forwarded(address) => Some(address),
            Client::Peer(Peer::Unix) | Client::Hidden => None,
        }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Client::Peer(peer) => peer.fmt(f),
            Client::Forwarded(address) => address.fmt(f),
            Client::Hidden => f.write_str("unknown"),
        }
    }
}
