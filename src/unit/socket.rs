//! A `Socket` is one that systemd keeps open for the service.

use super::quote;
use crate::config::{Address, Config, Endpoint, Host};
use anyhow::{Result, bail};
use std::fmt::Write;
use std::net::SocketAddr;

/// Systemd passes this descriptor first (SD_LISTEN_FDS_START).
const FIRST: usize = 3;

/// A `Socket` is one socket of the unit.
#[derive(Debug, PartialEq, Eq)]
pub struct Socket {
    /// ListenStream= has this value.
    pub listen: String,
    /// The service is told this of the socket, where that is not what it would do by itself.
    argument: Option<[String; 2]>,
}

impl Socket {
    /// Gives the argument that names this socket to the service, and its value.
    pub fn argument(&self) -> Option<[String; 2]> {
        self.argument.clone()
    }
}

/// Lists the sockets of the addresses that were asked for.
pub fn sockets(config: &Config) -> Result<Vec<Socket>> {
    let addresses = &config.addresses;
    let named = match addresses.named.as_slice() {
        [] => std::slice::from_ref(&addresses.fallback),
        named => named,
    };
    // Where all of them speak the same, the service takes what it is passed.
    let differ = named.iter().any(|address| address.tls != addresses.tls);
    let mut sockets: Vec<Socket> = Vec::new();
    for address in named {
        for listen in streams(address)? {
            let number = FIRST + sockets.len();
            let scheme = if address.tls { "https" } else { "http" };
            let argument = ["--bind".to_owned(), format!("fd+{scheme}://{number}")];
            let argument = differ.then_some(argument);
            sockets.push(Socket { listen, argument });
        }
    }
    Ok(sockets)
}

/// Lists what systemd is to listen at for one address.
fn streams(address: &Address) -> Result<Vec<String>> {
    match &address.place {
        Endpoint::Inet { port: 0, .. } => {
            // Both options make one address.
            let option = match address.option {
                "--host" => "--port",
                option => option,
            };
            bail!("option {option}: a socket unit needs a port that stays")
        }
        Endpoint::Inet { host, port } => match host {
            Host::Address(host) => Ok(vec![SocketAddr::new(*host, *port).to_string()]),
            Host::Name(name) if name.eq_ignore_ascii_case("localhost") => {
                Ok(vec![format!("127.0.0.1:{port}"), format!("[::1]:{port}")])
            }
            Host::Name(name) => bail!(
                "option {}: a socket unit takes addresses, not names such as `{name}`",
                address.option
            ),
        },
        Endpoint::Unix(path) => match path.is_absolute() {
            true => Ok(vec![quote::value(&path.display().to_string())]),
            false => bail!(
                "option {}: a socket unit needs the whole path of a Unix socket",
                address.option
            ),
        },
        Endpoint::Descriptor(_) => bail!(
            "option {}: descriptors are what the socket unit passes; name the address",
            address.option
        ),
    }
}

/// Writes the unit of the sockets.
pub fn text(name: &str, sockets: &[Socket], config: &Config) -> String {
    let addresses = &config.addresses;
    let mut text = format!("[Unit]\nDescription=Sockets of {name}\n\n[Socket]\n");
    for socket in sockets {
        let _ = writeln!(text, "ListenStream={}", socket.listen);
    }
    let is_v6 = |socket: &Socket| socket.listen.starts_with('[');
    if sockets.iter().any(is_v6) && !sockets.iter().all(is_v6) {
        text.push_str("# IPv4 has sockets of its own.\nBindIPv6Only=ipv6-only\n");
    }
    if sockets.iter().any(|socket| socket.listen.starts_with('/')) {
        let mode = addresses.permissions;
        let _ = writeln!(text, "SocketMode={mode:04o}\nRemoveOnStop=yes");
    }
    let backlog = addresses.backlog;
    let _ = writeln!(text, "Backlog={backlog}\nNoDelay=yes");
    let _ = write!(
        text,
        "# Connections wait here while the service is started again.\n\
         FlushPending=no\n\n[Install]\nWantedBy=sockets.target\n"
    );
    text
}
