//! This file binds TCP addresses: a name binds all that it stands for, on one port.

use super::leaves_v4;
use crate::config::{Address, Addresses, Host};
use crate::sys::socket::{self, Listening, LocalAddress};
use crate::warning;
use anyhow::{Context, Result, bail};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

/// A port that is free on every address of a name is looked for this often.
const ATTEMPTS: usize = 16;

pub fn bind(
    address: &Address,
    host: &Host,
    port: u16,
    addresses: &Addresses,
) -> Result<Vec<Listening>> {
    let resolved = match host {
        Host::Address(address) => vec![SocketAddr::new(*address, port)],
        Host::Name(name) => resolve(name, port).with_context(|| {
            let option = address.option;
            format!("cannot resolve `{name}`; give an address of this machine with {option}")
        })?,
    };
    let listen = |place: SocketAddr| {
        let only_v6 = place.ip().is_unspecified() && leaves_v4(addresses, place.port());
        socket::listen_tcp(place, only_v6, addresses.backlog)
    };
    let (bound, missing) = together(&resolved, listen).map_err(|(place, error)| {
        let remedy = remedy(&error, address.option);
        let scheme = if address.tls { "https" } else { "http" };
        anyhow::Error::from(error).context(format!("cannot bind {scheme}://{place}; {remedy}"))
    })?;
    for place in missing {
        warning!("{address} is not bound to {place}, which this machine does not have");
    }
    Ok(bound)
}

/// Resolves a name to all of its addresses. `localhost` is what RFC 6761 section 6.3 says, whatever a resolver is set
/// up to answer.
fn resolve(name: &str, port: u16) -> Result<Vec<SocketAddr>> {
    if name.eq_ignore_ascii_case("localhost") {
        let both = [
            IpAddr::from(Ipv4Addr::LOCALHOST),
            Ipv6Addr::LOCALHOST.into(),
        ];
        return Ok(both.map(|address| SocketAddr::new(address, port)).to_vec());
    }
    let mut all: Vec<SocketAddr> = Vec::new();
    for found in (name, port).to_socket_addrs()? {
        if !all.contains(&found) {
            all.push(found);
        }
    }
    if all.is_empty() {
        bail!("it has no address");
    }
    Ok(all)
}

/// A `Failure` is an address that could not be bound, and why.
type Failure = (SocketAddr, io::Error);

/// Binds all of them, on one port where that is possible, and says which this machine does not have
/// as long as it has one.
fn together<T: BoundSocket>(
    places: &[SocketAddr],
    listen: impl Fn(SocketAddr) -> io::Result<T>,
) -> Result<(Vec<T>, Vec<SocketAddr>), Failure> {
    let any_port = places.len() > 1 && places.iter().all(|place| place.port() == 0);
    for _ in 0..if any_port { ATTEMPTS } else { 0 } {
        match attempt(places, true, &listen) {
            Err((_, error)) if error.kind() == io::ErrorKind::AddrInUse => {}
            done => return done,
        }
    }
    attempt(places, false, &listen)
}

fn attempt<T: BoundSocket>(
    places: &[SocketAddr],
    same_port: bool,
    listen: impl Fn(SocketAddr) -> io::Result<T>,
) -> Result<(Vec<T>, Vec<SocketAddr>), Failure> {
    let (mut bound, mut missing) = (Vec::new(), Vec::new());
    let mut last = None;
    for place in places {
        let first = bound.first().filter(|_| same_port);
        let port = first.and_then(BoundSocket::port).unwrap_or(place.port());
        let place = SocketAddr::new(place.ip(), port);
        match listen(place) {
            Ok(socket) => bound.push(socket),
            Err(error) if is_missing(&error) => {
                missing.push(place);
                last = Some((place, error));
            }
            Err(error) => return Err((place, error)),
        }
    }
    match last {
        Some(failure) if bound.is_empty() => Err(failure),
        _ => Ok((bound, missing)),
    }
}

/// A `BoundSocket` has a port, which is all that matters of it.
trait BoundSocket {
    fn port(&self) -> Option<u16>;
}

impl BoundSocket for Listening {
    fn port(&self) -> Option<u16> {
        match self.place() {
            Ok(LocalAddress::Inet(address)) => Some(address.port()),
            _ => None,
        }
    }
}

fn is_missing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(libc::EAFNOSUPPORT)
}

fn remedy(error: &io::Error, option: &str) -> String {
    let port = match option {
        "--host" => "--port",
        other => other,
    };
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("stop what listens there, or choose another with {port}")
        }
        io::ErrorKind::PermissionDenied => {
            format!("ports below 1024 need CAP_NET_BIND_SERVICE, or choose another with {port}")
        }
        _ if is_missing(error) => format!("give an address of this machine with {option}"),
        _ => format!("choose another with {option}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    impl BoundSocket for SocketAddr {
        fn port(&self) -> Option<u16> {
            Some(SocketAddr::port(self))
        }
    }

    fn both(port: u16) -> Vec<SocketAddr> {
        resolve("LocalHost", port).unwrap()
    }

    fn error(kind: io::ErrorKind) -> io::Error {
        io::Error::from(kind)
    }

    #[test]
    fn a_name_is_bound_on_one_port() {
        let free = RefCell::new(vec![4003, 4002, 4001]);
        let (bound, missing) = together(&both(0), |mut place| {
            if place.is_ipv4() {
                place.set_port(free.borrow_mut().pop().unwrap());
            } else if place.port() != 4002 {
                return Err(error(io::ErrorKind::AddrInUse));
            }
            Ok(place)
        })
        .unwrap();
        let ports: Vec<u16> = bound.iter().map(SocketAddr::port).collect();
        assert_eq!((ports, missing.len()), (vec![4002, 4002], 0));
    }

    #[test]
    fn without_a_common_port_each_address_has_its_own() {
        let (bound, _) = together(&both(0), |mut place| match place.port() {
            0 => {
                place.set_port(if place.is_ipv4() { 4001 } else { 4002 });
                Ok(place)
            }
            _ => Err(error(io::ErrorKind::AddrInUse)),
        })
        .unwrap();
        let ports: Vec<u16> = bound.iter().map(SocketAddr::port).collect();
        assert_eq!(ports, [4001, 4002]);
    }

    #[test]
    fn what_this_machine_does_not_have_is_left_out_unless_it_is_everything() {
        let v4_only = |place: SocketAddr| match place {
            SocketAddr::V4(_) => Ok(place),
            SocketAddr::V6(_) => Err(error(io::ErrorKind::AddrNotAvailable)),
        };
        let (bound, missing) = together(&both(80), v4_only).unwrap();
        assert_eq!(bound, ["127.0.0.1:80".parse().unwrap()]);
        assert_eq!(missing, ["[::1]:80".parse().unwrap()]);
        assert!(together(&both(80)[1..], v4_only).is_err());
    }

    #[test]
    fn an_address_in_use_is_an_error_whatever_else_is_free() {
        let (place, _) = together(&both(80), |place| match place {
            SocketAddr::V4(_) => Ok(place),
            SocketAddr::V6(_) => Err(error(io::ErrorKind::AddrInUse)),
        })
        .unwrap_err();
        assert_eq!(place, "[::1]:80".parse().unwrap());
    }
}
