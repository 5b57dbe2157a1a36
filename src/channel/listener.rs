//! A `LeftListener` is what one executable tells the next of a listening socket.

use serde::{Deserialize, Serialize};
use std::os::fd::RawFd;

/// `LeftListener` is a listening socket that one executable leaves to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftListener {
    pub fd: RawFd,
    pub kind: ListenerKind,
    pub maker: SocketMaker,
}

/// `ListenerKind` says how connections of one listener are spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ListenerKind {
    Plain,
    Tls,
    /// Every request is redirected to https, at this port.
    Redirect {
        port: u16,
    },
}

/// `SocketMaker` says who made a socket, and what was made with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SocketMaker {
    /// The socket was bound here, to an address.
    Bound,
    /// The socket was bound here, to a path, where this file was made for it.
    File(FileIdentity),
    /// Somebody else made the socket, and passed it to us.
    Given,
}

/// A `FileIdentity` tells a file from another that was put in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileIdentity {
    pub device: u64,
    pub inode: u64,
}

/// `LeftMount` is what one executable leaves to the next of a component that is mounted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftMount {
    pub name: String,
    /// Its server listens at this descriptor.
    pub listening: RawFd,
    /// The front connects by this descriptor of the socket's file.
    pub file: RawFd,
    /// This process is its server, where there is one.
    pub process: Option<i32>,
}
