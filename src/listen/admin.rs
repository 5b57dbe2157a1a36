//! This file binds the sockets of the admin process: where it was asked for, and the one by which commands find this
//! server.

use super::unix;
use super::{Listener, Listeners, SocketOrigin};
use crate::config::{Address, Addresses, Admin, Endpoint};
use crate::connection::ListenerKind;
use crate::sys::runtime;
use crate::{debug, info, warning};
use anyhow::{Context, Result};
use std::path::Path;

/// Nobody but the owner may connect.
const PRIVATE: u32 = 0o600;

/// This many questions wait.
const BACKLOG: i32 = 64;

impl Listeners {
    /// Binds what was asked for, and the socket for commands where that can be had.
    pub fn bind_admin(asked: &Admin) -> Result<Listeners> {
        let mut listeners = match &asked.address {
            None => Listeners::default(),
            Some(address) => {
                if let Endpoint::Unix(path) = &address.place {
                    is_ours(path).with_context(|| format!("cannot bind {address} (--admin)"))?;
                }
                Listeners::bind(&alone(address.clone()))?
            }
        };
        for address in listeners.addresses() {
            info!("wasmserve is watched at {address}");
        }
        if let Some(directory) = &asked.directory {
            match for_commands(directory) {
                Ok(listener) => listeners.0.push(listener),
                Err(error) => warning!(
                    "there is no socket for commands like `wasmserve status` (--no-admin does without): {error:#}"
                ),
            }
        }
        Ok(listeners)
    }
}

fn alone(address: Address) -> Addresses {
    Addresses {
        named: vec![address.clone()],
        fallback: address,
        redirect: None,
        tls: false,
        permissions: PRIVATE,
        backlog: BACKLOG,
    }
}

/// Refuses a path of a socket where something of another user's stands.
fn is_ours(path: &Path) -> Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(found) => Ok(runtime::belongs_to_us(&found)?),
        Err(_) => Ok(()),
    }
}

/// Binds the socket of this process in the directory for them. Those of servers that are gone are removed.
fn for_commands(directory: &Path) -> Result<Listener> {
    let shown = directory.display();
    runtime::make_private(directory).with_context(|| format!("directory `{shown}`"))?;
    let path = directory.join(format!("{}.sock", std::process::id()));
    let place = crate::config::unix_endpoint(&path)?;
    is_ours(&path)?;
    let address = Address {
        place,
        tls: false,
        option: "--admin",
    };
    let (socket, file) = unix::bind(&path, &alone(address), "--admin")?;
    remove_dead(directory, &path);
    Ok(Listener::new(
        socket,
        ListenerKind::Plain,
        SocketOrigin::File(file),
    ))
}

fn remove_dead(directory: &Path, own: &Path) {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return;
    };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    for path in paths.filter(|path| path != own && !may_live(path)) {
        if path.extension().is_some_and(|it| it == "sock") && unix::remove_dead(&path) {
            debug!(
                "removed the socket {} of a server that is gone",
                path.display()
            );
        }
    }
}

/// Says whether the process that a socket is named after is there. To find out by a connection has it start its admin
/// process, so only the sockets of others are looked at in that way.
fn may_live(path: &Path) -> bool {
    let pid = path.file_stem().and_then(|stem| stem.to_str());
    pid.is_some_and(|pid| Path::new("/proc").join(pid).exists())
}
