//! This room keeps the listening sockets, from the first version of the configuration to the last: they are bound or
//! taken over, named, and closed. What is spoken on them is decided elsewhere.

mod admin;
mod inet;
mod inherited;
mod mounts;
mod repair;
mod unix;

pub use mounts::MountSockets;

use crate::channel::{LeftListener, SocketMaker};
use crate::config::{Address, Addresses, Endpoint, Host};
use crate::connection::ListenerKind;
use crate::sys::socket::{self, Listening};
use anyhow::{Context, Result};
use repair::{SocketCondition, SocketOrigin};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use unix::SocketFile;

/// https has this port where none is named.
const HTTPS: u16 = 443;

/// `Listeners` are all that are open. Files of sockets stay behind where they are dropped rather than closed.
#[derive(Debug, Default)]
pub struct Listeners(Vec<Listener>);

#[derive(Debug)]
struct Listener {
    socket: Listening,
    /// The socket listens here, or did.
    place: socket::LocalAddress,
    kind: ListenerKind,
    origin: SocketOrigin,
    condition: SocketCondition,
}

impl Listener {
    fn new(socket: Listening, kind: ListenerKind, origin: SocketOrigin) -> Listener {
        Listener {
            place: repair::place(&socket),
            socket,
            kind,
            origin,
            condition: SocketCondition::Listens,
        }
    }
}

impl Listeners {
    /// Binds every address, or none.
    pub fn bind(addresses: &Addresses) -> Result<Listeners> {
        let mut listeners = Listeners::default();
        match listeners.open(addresses) {
            Ok(()) => Ok(listeners),
            Err(error) => {
                listeners.close();
                Err(error)
            }
        }
    }

    fn open(&mut self, addresses: &Addresses) -> Result<()> {
        let passed = inherited::passed();
        let named = &addresses.named;
        let descriptors = named.iter().filter_map(|address| match address.place {
            Endpoint::Descriptor(number) => Some((number, address)),
            _ => None,
        });
        let mut given = Vec::new();
        for (number, address) in descriptors {
            given.push((address, inherited::take(number, address.option)?));
        }
        if named.is_empty() && !passed.is_empty() {
            for socket in passed {
                let listening = inherited::take_passed(&socket)?;
                self.add(
                    listening,
                    ListenerKind::of(addresses.tls),
                    SocketOrigin::Given,
                );
            }
        } else {
            inherited::warn_of_unused(&passed, named);
        }
        let fallback = Some(&addresses.fallback).filter(|_| named.is_empty() && self.0.is_empty());
        let mut given = given.into_iter();
        for address in named.iter().chain(fallback) {
            let kind = ListenerKind::of(address.tls);
            match &address.place {
                Endpoint::Inet { host, port } => {
                    for socket in inet::bind(address, host, *port, addresses)? {
                        self.add(socket, kind, SocketOrigin::Bound);
                    }
                }
                Endpoint::Unix(path) => {
                    let (socket, file) = unix::bind(path, addresses, address.option)?;
                    self.add(socket, kind, SocketOrigin::File(file));
                }
                Endpoint::Descriptor(_) => {
                    let (_, socket) = given.next().context("a descriptor is missing")?;
                    self.add(socket, kind, SocketOrigin::Given);
                }
            }
        }
        if let Some(address) = &addresses.redirect
            && let Endpoint::Inet { host, port } = &address.place
        {
            let kind = ListenerKind::Redirect {
                port: self.tls_port().unwrap_or(HTTPS),
            };
            for socket in inet::bind(address, host, *port, addresses)? {
                self.add(socket, kind, SocketOrigin::Bound);
            }
        }
        Ok(())
    }

    /// Finds the first port at which TLS is spoken.
    fn tls_port(&self) -> Option<u16> {
        let mut tls = self
            .0
            .iter()
            .filter(|listener| listener.kind == ListenerKind::Tls);
        tls.find_map(|listener| match &listener.place {
            socket::LocalAddress::Inet(address) => Some(address.port()),
            socket::LocalAddress::Unix(_) => None,
        })
    }

    fn add(&mut self, socket: Listening, kind: ListenerKind, origin: SocketOrigin) {
        self.0.push(Listener::new(socket, kind, origin));
    }

    /// Takes those that another executable has left, each with its descriptor.
    pub fn adopt(left: Vec<(OwnedFd, LeftListener)>) -> Result<Listeners> {
        let adopt = |(fd, left): (OwnedFd, LeftListener)| {
            let socket = socket::listening(fd).context("a socket that was handed over")?;
            let origin = match (left.maker, unix::path(&socket)) {
                (SocketMaker::File(identity), Some(path)) => {
                    SocketOrigin::File(SocketFile { path, identity })
                }
                (SocketMaker::Given, _) => SocketOrigin::Given,
                (SocketMaker::File(_) | SocketMaker::Bound, _) => SocketOrigin::Bound,
            };
            Ok(Listener::new(socket, left.kind, origin))
        };
        left.into_iter()
            .map(adopt)
            .collect::<Result<_>>()
            .map(Listeners)
    }

    /// Says of each what the executable must know that it is left to.
    pub fn left(&self) -> Vec<LeftListener> {
        let listeners = self.0.iter();
        let left = listeners.map(|listener| LeftListener {
            fd: listener.socket.as_raw_fd(),
            kind: listener.kind,
            maker: match &listener.origin {
                SocketOrigin::Bound => SocketMaker::Bound,
                SocketOrigin::File(file) => SocketMaker::File(file.identity),
                SocketOrigin::Given => SocketMaker::Given,
            },
        });
        left.collect()
    }

    /// Makes further descriptors of the same sockets.
    pub fn duplicates(&self) -> Vec<OwnedFd> {
        let sockets = self.0.iter();
        let duplicated = sockets.map(|it| it.socket.as_fd().try_clone_to_owned());
        duplicated.filter_map(Result::ok).collect()
    }

    /// Names the addresses where clients connect, in the log's words.
    pub fn addresses(&self) -> Vec<String> {
        let listeners = self.0.iter();
        listeners
            .map(|listener| described(listener.kind, &listener.place))
            .collect()
    }

    /// Returns how many connections wait at each address, where that is known.
    pub fn backlogs(&self) -> Vec<Option<u32>> {
        let listeners = self.0.iter();
        listeners
            .map(|listener| listener.socket.waiting())
            .collect()
    }

    /// Gives a worker what it accepts from, and how it speaks there.
    pub fn into_sockets(self) -> Vec<(Listening, ListenerKind)> {
        let listeners = self.0.into_iter();
        listeners
            .map(|listener| (listener.socket, listener.kind))
            .collect()
    }

    /// Takes no more connections, and removes the files that are ours.
    pub fn close(&mut self) {
        for listener in self.0.drain(..) {
            if let SocketOrigin::File(file) = listener.origin {
                file.remove();
            }
        }
    }
}

fn described(kind: ListenerKind, place: &socket::LocalAddress) -> String {
    let scheme = kind.scheme();
    match place {
        socket::LocalAddress::Inet(address) => match kind {
            ListenerKind::Redirect { .. } => format!("{scheme}://{address} (redirects to https)"),
            ListenerKind::Plain | ListenerKind::Tls => format!("{scheme}://{address}"),
        },
        socket::LocalAddress::Unix(Some(path)) => format!("unix socket {}", path.display()),
        socket::LocalAddress::Unix(None) => "unix socket without a path".to_owned(),
    }
}

/// Says whether an IPv6 wildcard leaves IPv4 to another address of ours.
fn leaves_v4(addresses: &Addresses, port: u16) -> bool {
    let all: [&Option<Address>; 1] = [&addresses.redirect];
    let mut all = addresses.named.iter().chain(all.into_iter().flatten());
    let v4 = Host::Address(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    port != 0
        && all.any(|address| match &address.place {
            Endpoint::Inet { host, port: other } => *host == v4 && *other == port,
            _ => false,
        })
}
