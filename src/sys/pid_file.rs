//! A `PidFile` says which process the server is. Whoever has written it holds a lock on it for as long as it lives.

use super::file::{READ_BY_ALL, put_in_place};
use anyhow::{Context, bail};
use nix::fcntl::{Flock, FlockArg};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A `PidFile` is the file of this process.
pub struct PidFile {
    path: PathBuf,
    file: Flock<File>,
    writer: u32,
}

/// A `Holder` stands in the place of the file.
#[derive(Debug, PartialEq, Eq)]
enum Holder {
    /// Nobody has the file, or a process that has ended.
    Nobody,
    /// A process lives that has the file, and may be another server.
    Process(i32),
    /// There is something that is no file of this kind.
    Unknown,
}

/// Fails where the file is that of another server which runs.
pub fn refuse_another(path: &Path) -> anyhow::Result<()> {
    let shown = path.display();
    match holder(path).with_context(|| format!("cannot read `{shown}`"))? {
        Holder::Nobody => Ok(()),
        Holder::Process(pid) => {
            bail!(
                "`{shown}` is the file of process {pid}, which is running; stop it, or name another file"
            )
        }
        Holder::Unknown => bail!("`{shown}` is there, and holds no process's number"),
    }
}

/// Looks who has the file.
fn holder(path: &Path) -> io::Result<Holder> {
    let mut options = File::options();
    options
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW);
    let mut file = match options.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Holder::Nobody),
        Err(error) => return Err(error),
    };
    if !file.metadata()?.is_file() {
        return Ok(Holder::Unknown);
    }
    let mut text = String::new();
    let read = (&mut file).take(64).read_to_string(&mut text);
    let Ok(pid) = text.trim().parse::<i32>() else {
        let is_empty = read.is_ok() && text.trim().is_empty();
        return Ok(if is_empty {
            Holder::Nobody
        } else {
            Holder::Unknown
        });
    };
    if pid == std::process::id().cast_signed() {
        return Ok(Holder::Nobody);
    }
    // A lock that can be had: it is nobody's of ours.
    let is_locked = Flock::lock(file, FlockArg::LockSharedNonblock).is_err();
    let is_ours = executable(pid)
        .is_some_and(|path| Some(path) == executable(std::process::id().cast_signed()));
    Ok(
        match is_locked || (super::process::lives(pid) && !is_ours) {
            true => Holder::Process(pid),
            false => Holder::Nobody,
        },
    )
}

fn executable(pid: i32) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/exe")).ok()
}

impl PidFile {
    /// Writes the file, whole, in the place of what was there.
    pub fn write(path: &Path) -> io::Result<PidFile> {
        let written = put_in_place(path, READ_BY_ALL, |mut file| {
            writeln!(file, "{}", std::process::id())?;
            let file = Flock::lock(file, FlockArg::LockExclusiveNonblock);
            file.map_err(|(_, why)| why.into())
        });
        written.map(|file| PidFile {
            path: path.to_owned(),
            file,
            writer: std::process::id(),
        })
    }
}

/// Removes the file, if it is still the one that this process has written.
impl Drop for PidFile {
    fn drop(&mut self) {
        let which = |file: std::fs::Metadata| (file.dev(), file.ino());
        let own = self.file.metadata().map(which).ok();
        let there = std::fs::symlink_metadata(&self.path).map(which).ok();
        if self.writer == std::process::id() && own.is_some() && own == there {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
