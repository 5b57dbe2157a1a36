//! Several processes add files to a `LockedDirectory`, one after the other.

use super::file::put_in_place;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, Flock, FlockArg};
use nix::unistd::{AccessFlags, faccessat};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Fails where this process may not make files in a directory.
pub fn check_writable(path: &Path) -> io::Result<()> {
    let access = AccessFlags::W_OK | AccessFlags::X_OK;
    Ok(faccessat(AT_FDCWD, path, access, AtFlags::AT_EACCESS)?)
}

/// A `LockedDirectory` belongs to this process: no other that asks has it meanwhile.
pub struct LockedDirectory {
    path: PathBuf,
    _lock: Flock<File>,
}

impl LockedDirectory {
    /// Locks a directory; `None` where another process has it.
    pub fn lock(path: &Path) -> io::Result<Option<LockedDirectory>> {
        match Flock::lock(File::open(path)?, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Some(LockedDirectory {
                path: path.to_owned(),
                _lock: lock,
            })),
            Err((_, Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, error)) => Err(error.into()),
        }
    }

    /// The names of what is in it, as far as they are text.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let entries = std::fs::read_dir(&self.path)?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        Ok(names.collect())
    }

    /// Writes a file that its owner alone reads, whole or not at all.
    pub fn write_new(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        put_in_place(&self.path.join(name), 0o600, |mut file| {
            file.write_all(bytes)
        })
    }
}
