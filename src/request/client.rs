//! Who sent a request, as far as it is known: for the log, and for guests that ask for it.

use super::Peer;
use std::fmt;
use std::net::SocketAddr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// The other end of the connection.
    Peer(Peer),
    /// Whom a trusted proxy names; port 0 where it names none, as in uvicorn's log.
    Forwarded(SocketAddr),
    /// Somebody whom a trusted proxy will not, or cannot, name (RFC 7239 section 6.3).
    Hidden,
}

impl Client {
    /// Its address, where it has one that is known.
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
