//! The operator writes rules about which peers a guest may talk to, and these know the kinds of addresses. They know
//! nothing of sockets.
//!
//! They are our own, as names and the addresses that they resolve to are judged at the moment of connecting.

mod address;
mod rule;

pub use rule::{Denial, PeerGrant, PeerScheme, Rule, Rules};
