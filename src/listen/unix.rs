//! Unix sockets have files: one that nobody listens on any more is replaced, one that somebody does is refused, and in
//! the end ours is removed, and only ours.

use crate::channel::FileIdentity;
use crate::config::Addresses;
use crate::sys::socket::{self, Listening, LocalAddress};
use crate::sys::watch::directory_of;
use crate::{info, warning};
use anyhow::{Context, Result, bail};
use nix::fcntl::{Flock, FlockArg};
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A `SocketFile` is the file of a socket that was bound here.
#[derive(Debug)]
pub struct SocketFile {
    pub path: PathBuf,
    pub identity: FileIdentity,
}

/// `option` is what the path was given with.
pub fn bind(path: &Path, addresses: &Addresses, option: &str) -> Result<(Listening, SocketFile)> {
    let listen = || socket::listen_unix(path, addresses.permissions, addresses.backlog);
    let lock = lock(path);
    let listened = match listen() {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            replace(path, option)?;
            listen()
        }
        other => other,
    };
    let socket = listened.map_err(|error| {
        let remedy = remedy(&error, option);
        let text = format!("cannot bind unix socket `{}`; {remedy}", path.display());
        anyhow::Error::from(error).context(text)
    })?;
    let identity = identity(path)
        .with_context(|| format!("the unix socket `{}` was removed at once", path.display()))?;
    drop(lock);
    let path = path.to_owned();
    Ok((socket, SocketFile { path, identity }))
}

/// Removes a socket's file that nobody listens on.
fn replace(path: &Path, option: &str) -> Result<()> {
    let shown = path.display();
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    if !is_socket {
        bail!(
            "cannot bind unix socket `{shown}`; there is something else of that name: remove it, \
             or choose another path with {option}"
        );
    }
    match socket::is_listened_on(path) {
        Ok(false) => {}
        Ok(true) => bail!(
            "cannot bind unix socket `{shown}`: it is in use; stop what listens there, or choose \
             another path with {option}"
        ),
        Err(error) => return Err(error).with_context(|| {
            format!(
                "cannot bind unix socket `{shown}`, which is there already; remove it, or choose \
                 another path with {option}"
            )
        }),
    }
    std::fs::remove_file(path)
        .with_context(|| format!("cannot replace the unix socket `{shown}` that nobody uses"))?;
    info!("Replaced the unix socket {shown}, which nobody listened on");
    Ok(())
}

/// Removes the file of a socket that nobody listens on. True where it did.
pub fn remove_dead(path: &Path) -> bool {
    let _lock = lock(path);
    let is_dead = matches!(socket::is_listened_on(path), Ok(false));
    is_dead && std::fs::remove_file(path).is_ok()
}

impl SocketFile {
    /// Removes the file, unless somebody else has put his own there.
    pub fn remove(&self) {
        let _lock = lock(&self.path);
        if identity(&self.path).ok() != Some(self.identity) {
            return;
        }
        if let Err(error) = std::fs::remove_file(&self.path) {
            warning!(
                "cannot remove the unix socket {}: {error}",
                self.path.display()
            );
        }
    }
}

/// Gives the path that a Unix socket was bound to.
pub fn path(socket: &Listening) -> Option<PathBuf> {
    match socket.place() {
        Ok(LocalAddress::Unix(path)) => path,
        _ => None,
    }
}

fn identity(path: &Path) -> io::Result<FileIdentity> {
    let file = std::fs::symlink_metadata(path)?;
    Ok(FileIdentity {
        device: file.dev(),
        inode: file.ino(),
    })
}

/// Another process that looks at the same directory is waited for this long at a time, this often.
const LOCK_ATTEMPTS: (Duration, u32) = (Duration::from_millis(5), 100);

/// Keeps other servers of ours from looking at a socket between its making and its listening, and from replacing it at
/// the same time. Where that cannot be had, things go on without.
fn lock(path: &Path) -> Option<Flock<File>> {
    let mut file = File::open(directory_of(path)).ok()?;
    let (pause, times) = LOCK_ATTEMPTS;
    for _ in 0..times {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Some(lock),
            Err((back, nix::Error::EWOULDBLOCK)) => file = back,
            Err(_) => return None,
        }
        std::thread::sleep(pause);
    }
    None
}

fn remedy(error: &io::Error, option: &str) -> String {
    let first = match error.kind() {
        io::ErrorKind::NotFound => "make its directory, or ",
        io::ErrorKind::PermissionDenied => "let this user write to its directory, or ",
        io::ErrorKind::AddrInUse => "somebody else was faster; ",
        _ => "",
    };
    format!("{first}choose another path with {option}")
}
