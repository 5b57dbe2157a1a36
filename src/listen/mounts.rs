//! Each component that is mounted has a server of its own, which listens here: at a Unix socket whose file is gone
//! before anybody else could open it. Who has a descriptor of that file connects by the path of the descriptor
//! (proc_pid_fd(5)).

use super::{Listener, Listeners, SocketOrigin};
use crate::channel::LeftMount;
use crate::connection::ListenerKind;
use crate::error;
use crate::sys::runtime;
use crate::sys::socket::{self, Listening};
use anyhow::{Context, Result, anyhow};
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::{dup3, mkdtemp};
use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};

/// This many connections wait: the front has few, each with many requests.
const BACKLOG: i32 = 1024;

/// With each look, this many are switched back to non-blocking mode, should somebody have switched it off: until then
/// accepting there waits for moments.
const UNBLOCKED: usize = 16;

/// `MountSockets` are those of all mounts, by their names.
#[derive(Debug, Default)]
pub struct MountSockets {
    by_name: BTreeMap<String, MountSocket>,
    /// With the next look, those behind this one are switched back to non-blocking mode.
    unblocked: String,
}

#[derive(Debug)]
struct MountSocket {
    listening: Listening,
    /// This is the socket's file, which has no name.
    file: OwnedFd,
}

impl MountSockets {
    /// Makes sockets for these mounts where they have none.
    pub fn prepare<'a>(&mut self, names: impl Iterator<Item = &'a str>) -> Result<()> {
        for name in names {
            if !self.by_name.contains_key(name) {
                let made = make().with_context(|| format!("mount `{name}`"))?;
                self.by_name.insert(name.to_owned(), made);
            }
        }
        Ok(())
    }

    /// Makes those anew that one of the processes that listen there has shut down or switched to blocking mode, and names
    /// them: whoever has the old one, or its file, is to be replaced.
    pub fn repair(&mut self) -> Vec<String> {
        self.unblock_some();
        let sockets = self.by_name.values();
        let shut_down = socket::are_shut_down(sockets.map(|it| it.listening.as_fd()));
        let mut renewed = Vec::new();
        for ((name, socket), is_shut_down) in self.by_name.iter_mut().zip(shut_down) {
            if !is_shut_down {
                continue;
            }
            match socket.renew() {
                Ok(()) => {
                    error!(
                        "The socket of mount `{name}` was shut down by one of its processes: it is made anew"
                    );
                    renewed.push(name.clone());
                }
                // It is tried again with the next look.
                Err(error) => error!("mount `{name}`: {error:#}"),
            }
        }
        renewed
    }

    fn unblock_some(&mut self) {
        let behind = (Bound::Excluded(&*self.unblocked), Bound::Unbounded);
        let mut last = String::new();
        for (count, (name, socket)) in self.by_name.range::<str, _>(behind).enumerate() {
            if count == UNBLOCKED {
                self.unblocked = last;
                return;
            }
            socket.listening.unblock();
            last.clone_from(name);
        }
        // The next look begins anew.
        self.unblocked = String::new();
    }

    /// Takes those that another executable has left.
    pub fn adopt(left: Vec<(LeftMount, [OwnedFd; 2])>) -> Result<MountSockets> {
        let adopt = |(left, [listening, file]): (LeftMount, [OwnedFd; 2])| {
            let listening =
                socket::listening(listening).context("a socket that was handed over")?;
            Ok((left.name, MountSocket { listening, file }))
        };
        let sockets = left.into_iter().map(adopt);
        Ok(MountSockets {
            by_name: sockets.collect::<Result<_>>()?,
            unblocked: String::new(),
        })
    }

    /// Gives a further descriptor of the file of a mount's socket, by which who holds it connects.
    pub fn file(&self, name: &str) -> io::Result<OwnedFd> {
        self.of(name)?.file.try_clone()
    }

    /// Lists the paths by which the sockets are connected to.
    pub fn paths(&self) -> Vec<PathBuf> {
        let sockets = self.by_name.values();
        sockets.map(|socket| path(&socket.file)).collect()
    }

    /// Returns the descriptor that the server of a mount listens at.
    pub fn listening(&self, name: &str) -> io::Result<RawFd> {
        Ok(self.of(name)?.listening.as_raw_fd())
    }

    /// Gives a further descriptor of it.
    pub fn duplicate(&self, name: &str) -> io::Result<OwnedFd> {
        self.of(name)?.listening.as_fd().try_clone_to_owned()
    }

    /// Lists the descriptors of the sockets' files.
    pub fn files(&self) -> Vec<RawFd> {
        let sockets = self.by_name.values();
        sockets.map(|socket| socket.file.as_raw_fd()).collect()
    }

    /// Lists what the next executable must know, but for the processes.
    pub fn left(&self) -> Vec<LeftMount> {
        let left = self.by_name.iter().map(|(name, socket)| LeftMount {
            name: name.clone(),
            listening: socket.listening.as_raw_fd(),
            file: socket.file.as_raw_fd(),
            process: None,
        });
        left.collect()
    }

    fn of(&self, name: &str) -> io::Result<&MountSocket> {
        let none = || io::Error::other(format!("mount `{name}` has no socket"));
        self.by_name.get(name).ok_or_else(none)
    }

    /// Gives what the server of a mount listens at.
    pub fn listeners(&self, name: &str) -> Result<Listeners> {
        let listening = self.of(name)?.listening.as_fd();
        let listening = socket::listening(listening.try_clone_to_owned()?)?;
        let listener = Listener::new(listening, ListenerKind::Plain, SocketOrigin::Given);
        Ok(Listeners(vec![listener]))
    }
}

impl MountSocket {
    /// Makes the socket anew. Its file keeps the number of its descriptor, which those who are allowed to open it know.
    fn renew(&mut self) -> Result<()> {
        let made = make()?;
        dup3(&made.file, &mut self.file, OFlag::O_CLOEXEC)?;
        self.listening = made.listening;
        Ok(())
    }
}

/// Returns the path by which who has a descriptor of a socket's file connects to it.
fn path(file: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// Makes a socket in a directory of its own, which is removed at once, at the first of the usual places that has room
/// for it.
fn make() -> Result<MountSocket> {
    let places = [
        Some(std::env::temp_dir()),
        runtime::directory(),
        Some("/dev/shm".into()),
    ];
    let mut failed = None;
    for place in places.into_iter().flatten() {
        let made = make_in(&place);
        let about = || format!("its socket cannot be made in `{}`", place.display());
        match made.with_context(about) {
            Ok(made) => return Ok(made),
            Err(error) => failed.get_or_insert(error),
        };
    }
    Err(failed.unwrap_or_else(|| anyhow!("no place for its socket is known")))
}

fn make_in(place: &Path) -> Result<MountSocket> {
    let directory = mkdtemp(&place.join("wasmserve-XXXXXX"))?;
    let made = bind(&directory.join("s"));
    let _ = std::fs::remove_dir(&directory);
    made
}

/// Workers may run as another user, and nobody else comes to the file, whose directory is ours alone and which is gone.
const PERMISSIONS: u32 = 0o666;

fn bind(path: &Path) -> Result<MountSocket> {
    let listening = socket::listen_unix(path, PERMISSIONS, BACKLOG)?;
    let file = open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty());
    std::fs::remove_file(path)?;
    Ok(MountSocket {
        listening,
        file: file?,
    })
}
