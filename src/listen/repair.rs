//! This file looks whether the sockets still listen, and repairs those that do not. They are shared with every worker,
//! and what one process does to a socket is done for all (shutdown(2), fcntl(2)).

use super::{Listener, Listeners, described, leaves_v4, unix};
use crate::config::Addresses;
use crate::sys::socket::{self, Listening, LocalAddress};
use crate::{error, warning};
use anyhow::{Result, bail};

/// A `SocketCondition` says what somebody did to a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketCondition {
    Listens,
    /// The socket was shut down, and nothing that was tried has helped.
    Lost,
}

/// A `SocketOrigin` says who made a socket, and so how it can be made again.
#[derive(Debug)]
pub enum SocketOrigin {
    Bound,
    /// The socket was bound to a path, where this file was made for it.
    File(unix::SocketFile),
    /// Somebody else made the socket, and passed it to us.
    Given,
}

impl Listeners {
    /// Repairs what was done to the sockets, and logs it. Says whether one is another now than before, or listens
    /// again, so that whoever has it is to be replaced.
    pub fn repair(&mut self, addresses: &Addresses) -> bool {
        let mut renewed = false;
        for listener in &mut self.0 {
            let name = described(listener.kind, &listener.place);
            if listener.socket.unblock() {
                warning!(
                    "{name} was switched to blocking mode by one of its processes: it is non-blocking again"
                );
            }
            if listener.socket.listens() {
                continue;
            }
            match listener.renew(addresses) {
                Ok(()) => {
                    error!("{name} was shut down by one of its processes: it is bound anew");
                    listener.condition = SocketCondition::Listens;
                    renewed = true;
                }
                Err(error) if listener.condition == SocketCondition::Listens => {
                    error!(
                        "{name} was shut down by one of its processes, and takes no clients: {error:#}"
                    );
                    listener.condition = SocketCondition::Lost;
                }
                // It was said, and is tried again with each look.
                Err(_) => {}
            }
        }
        renewed
    }
}

impl Listener {
    fn renew(&mut self, addresses: &Addresses) -> Result<()> {
        match (&self.origin, &self.place) {
            (SocketOrigin::Bound, LocalAddress::Inet(place)) => {
                let only_v6 = place.ip().is_unspecified() && leaves_v4(addresses, place.port());
                self.socket = socket::listen_tcp(*place, only_v6, addresses.backlog)?;
            }
            (SocketOrigin::File(file), _) => {
                let (socket, file) = unix::bind(&file.path, addresses, "--uds")?;
                (self.socket, self.origin) = (socket, SocketOrigin::File(file));
            }
            _ => self.listen_again(addresses.backlog)?,
        }
        Ok(())
    }

    /// Has a TCP socket that was shut down listen again, if it was bound to a port that was named: nobody here may
    /// bind what somebody else has bound.
    fn listen_again(&self, backlog: i32) -> Result<()> {
        self.socket.listen_again(backlog)?;
        if !self.socket.listens() || self.socket.place()? != self.place {
            bail!("it was handed over, and whoever did that must start wasmserve anew");
        }
        Ok(())
    }
}

/// Gives the place of a socket as long as it has one: one that is shut down may lose its port.
pub fn place(socket: &Listening) -> LocalAddress {
    socket.place().unwrap_or(LocalAddress::Unix(None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Address, Host};
    use crate::connection::ListenerKind;
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
    use std::os::fd::{AsFd, AsRawFd, OwnedFd};
    use std::os::unix::net::UnixListener;

    fn addresses(ip: &str) -> Addresses {
        let host = Host::Address(ip.parse::<IpAddr>().unwrap());
        let address = Address {
            place: crate::config::Endpoint::Inet { host, port: 0 },
            tls: false,
            option: "--bind",
        };
        Addresses {
            named: vec![address.clone()],
            fallback: address,
            redirect: None,
            tls: false,
            permissions: 0o600,
            backlog: 16,
        }
    }

    fn given(socket: impl Into<OwnedFd>) -> Listeners {
        let mut listeners = Listeners::default();
        let socket = socket::listening(socket.into()).unwrap();
        listeners.add(socket, ListenerKind::Plain, SocketOrigin::Given);
        listeners
    }

    /// Does what one process can do to a socket that it shares with us.
    fn shut_down(listeners: &Listeners) {
        let shared = listeners.0[0].socket.as_fd().try_clone_to_owned().unwrap();
        let shared = TcpStream::from(shared);
        shared.shutdown(Shutdown::Both).unwrap();
    }

    #[test]
    fn a_socket_that_was_shut_down_is_bound_anew() {
        for ip in ["127.0.0.1", "::1"] {
            let addresses = addresses(ip);
            let mut listeners = Listeners::bind(&addresses).unwrap();
            let LocalAddress::Inet(place) = listeners.0[0].place else {
                panic!("no address");
            };
            assert!(!listeners.repair(&addresses));
            for _ in 0..3 {
                shut_down(&listeners);
                assert!(TcpStream::connect(place).is_err());
                assert!(listeners.repair(&addresses));
                TcpStream::connect(place).unwrap();
                assert!(!listeners.repair(&addresses));
            }
        }
    }

    #[test]
    fn one_that_was_handed_over_listens_again() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let place: SocketAddr = free.local_addr().unwrap();
        drop(free);
        let mut listeners = given(TcpListener::bind(place).unwrap());
        let number = listeners.0[0].socket.as_raw_fd();
        shut_down(&listeners);
        assert!(listeners.repair(&addresses("::1")));
        assert_eq!(listeners.0[0].socket.as_raw_fd(), number);
        TcpStream::connect(place).unwrap();
    }

    #[test]
    fn one_that_cannot_be_had_again_is_tried_with_each_look() {
        let path = std::env::temp_dir().join(format!("wasmserve-repair-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let mut listeners = given(UnixListener::bind(&path).unwrap());
        shut_down(&listeners);
        for _ in 0..2 {
            assert!(!listeners.repair(&addresses("::1")));
            assert_eq!(listeners.0[0].condition, SocketCondition::Lost);
        }
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_socket_that_was_made_to_wait_waits_no_more() {
        let addresses = addresses("127.0.0.1");
        let mut listeners = Listeners::bind(&addresses).unwrap();
        fcntl(&listeners.0[0].socket, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
        // Nobody who has it need be replaced.
        assert!(!listeners.repair(&addresses));
        assert!(!listeners.0[0].socket.unblock());
    }

    /// A worker that was told of a client which another one took would wait for the next.
    #[test]
    fn even_a_socket_that_was_made_to_wait_waits_for_moments_only() {
        let listeners = Listeners::bind(&addresses("127.0.0.1")).unwrap();
        let Listening::Tcp(socket) = &listeners.0[0].socket else {
            panic!("no TCP");
        };
        fcntl(socket, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
        let start = std::time::Instant::now();
        let error = socket.accept().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
        assert!(start.elapsed() < std::time::Duration::from_secs(1));
    }
}
