//! This file writes to standard output and standard error, without waiting where that can be had.

use anyhow::Context as _;
use nix::fcntl::{AT_FDCWD, OFlag, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, send};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::unistd::symlinkat;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

/// A `Way` is how to write to a descriptor that we share with others, whose mode is not ours to change.
pub enum Way {
    /// The descriptor is used as it is, since nothing better is known: it is asked first whether it has room, and
    /// given no more than it has room for then.
    Plain(RawFd),
    /// The descriptor is a file, which takes everything at once.
    File(RawFd),
    /// The descriptor's pipe or terminal was opened once more, in our own mode.
    Reopened(OwnedFd),
    /// The descriptor is a socket, which can be told with each message not to wait.
    Socket(RawFd),
}

/// A pipe that is ready takes no more than this without waiting (PIPE_BUF, pipe(7)).
const ATOMIC: usize = 4096;

impl Way {
    pub const fn plain(fd: RawFd) -> Way {
        Way::Plain(fd)
    }

    /// Finds a better way, if there is one. `number` is the descriptor itself.
    pub fn prepare(&mut self, number: RawFd) {
        // SAFETY: the descriptor is only borrowed for these calls; should it be closed, they fail.
        let fd = unsafe { BorrowedFd::borrow_raw(number) };
        let Ok(status) = fstat(fd) else { return };
        match SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT {
            SFlag::S_IFREG => *self = Way::File(number),
            SFlag::S_IFSOCK => *self = Way::Socket(number),
            SFlag::S_IFIFO | SFlag::S_IFCHR => {
                let mode = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
                let path = format!("/proc/self/fd/{number}");
                if let Ok(reopened) = open(path.as_str(), mode, Mode::empty()) {
                    *self = Way::Reopened(reopened);
                }
            }
            _ => {}
        }
    }

    /// Gives the descriptor that was opened for this.
    pub fn descriptor(&self) -> Option<RawFd> {
        match self {
            Way::Reopened(fd) => Some(fd.as_raw_fd()),
            Way::Plain(_) | Way::File(_) | Way::Socket(_) => None,
        }
    }

    /// Writes by write(2), or what comes nearest; `WouldBlock` where it would have to wait.
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Way::Reopened(fd) => Ok(nix::unistd::write(fd, bytes)?),
            Way::Socket(fd) => {
                let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
                Ok(send(*fd, bytes, flags)?)
            }
            Way::Plain(_) if !self.takes(Duration::ZERO) => Err(io::ErrorKind::WouldBlock.into()),
            Way::Plain(fd) => write_plainly(*fd, &bytes[..bytes.len().min(ATOMIC)]),
            Way::File(fd) => write_plainly(*fd, bytes),
        }
    }

    /// Says whether a write would not wait, at once or within `timeout` (poll(2)). A descriptor that is broken is
    /// ready to say so.
    pub fn takes(&self, timeout: Duration) -> bool {
        let fd = match self {
            Way::Reopened(fd) => fd.as_fd(),
            // SAFETY: as in `prepare`.
            Way::Plain(fd) | Way::File(fd) | Way::Socket(fd) => unsafe {
                BorrowedFd::borrow_raw(*fd)
            },
        };
        let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX);
        !matches!(
            poll(&mut [PollFd::new(fd, PollFlags::POLLOUT)], timeout),
            Ok(0)
        )
    }
}

fn write_plainly(fd: RawFd, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: as in `Way::prepare`.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    Ok(nix::unistd::write(fd, bytes)?)
}

/// A `LogTarget` is what a log is written to.
pub enum LogTarget {
    /// The target is a file, or a socket of whoever keeps the system's log: it is opened again when it is told.
    Kept(OwnedFd),
    /// The target is a pipe or a device.
    Other(OwnedFd),
}

/// Opens a file to append to, which is made where there is none, and waits for nobody. Its owner reads and writes it,
/// and its group reads it.
pub fn open_log(path: &Path) -> io::Result<LogTarget> {
    let flags = OFlag::O_WRONLY
        | OFlag::O_APPEND
        | OFlag::O_CREAT
        | OFlag::O_NONBLOCK
        | OFlag::O_NOCTTY
        | OFlag::O_CLOEXEC;
    let mode = Mode::S_IRUSR | Mode::S_IWUSR | Mode::S_IRGRP;
    let file = open(path, flags, mode)?;
    let kind = SFlag::from_bits_truncate(fstat(&file)?.st_mode) & SFlag::S_IFMT;
    Ok(match kind == SFlag::S_IFREG {
        true => LogTarget::Kept(file),
        false => LogTarget::Other(file),
    })
}

/// Connects to a socket that datagrams are sent to (unix(7)).
pub fn connect_log(path: &Path) -> io::Result<LogTarget> {
    let socket = std::os::unix::net::UnixDatagram::unbound()?;
    socket.connect(path)?;
    Ok(LogTarget::Kept(socket.into()))
}

/// An `Identity` tells a file from another that has its name later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    number: u64,
    /// The file was changed last at this time: numbers are used again.
    changed: (i64, i64),
}

/// Finds which file has this name now.
pub fn identity(path: &Path) -> Option<Identity> {
    let status = std::fs::metadata(path).ok()?;
    Some(Identity {
        device: status.dev(),
        number: status.ino(),
        changed: (status.ctime(), status.ctime_nsec()),
    })
}

/// Writes as much as the file takes now.
pub fn write(fd: &OwnedFd, bytes: &[u8]) -> io::Result<usize> {
    match nix::unistd::write(fd, bytes)? {
        0 if !bytes.is_empty() => Err(io::ErrorKind::WriteZero.into()),
        written => Ok(written),
    }
}

/// Sends one datagram, if whoever receives has room for it.
pub fn send_datagram(fd: &OwnedFd, bytes: &[u8]) -> io::Result<()> {
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    send(fd.as_raw_fd(), bytes, flags)?;
    Ok(())
}

/// Has `link` lead to `target` from here on, by way of a link `beside` it: whoever looks meanwhile finds the one or the
/// other.
pub fn point(link: &Path, target: &Path, beside: &Path) -> io::Result<()> {
    let _ = std::fs::remove_file(beside);
    symlinkat(target, AT_FDCWD, beside)?;
    std::fs::rename(beside, link)
}

/// Makes a file that its owner alone reads, in the place of what has its name: where that is a link, what it leads to
/// stays as it is.
pub fn make_own(path: &Path) -> io::Result<File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = File::options();
    options.write(true).create_new(true).mode(0o600).open(path)
}

/// Writes the whole file, or leaves what was there.
pub fn write_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    put_in_place(path, READ_BY_ALL, |mut file| file.write_all(bytes))
        .with_context(|| format!("cannot write `{}`", path.display()))
}

/// Everybody may read a file of this mode whom the umask lets.
pub const READ_BY_ALL: u32 = 0o666;

/// Has a new file filled, and puts it in the place of what is there: whole, or not at all. Until then it stands beside
/// that, under a name that no other process gives.
pub fn put_in_place<T>(
    path: &Path,
    mode: u32,
    fill: impl FnOnce(File) -> io::Result<T>,
) -> io::Result<T> {
    let name = path.file_name().ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, "the path ends in no file name")
    })?;
    let mut unfinished = name.to_owned();
    unfinished.push(format!(".{}.tmp", std::process::id()));
    let unfinished = path.with_file_name(unfinished);
    let _ = std::fs::remove_file(&unfinished);
    let mut options = File::options();
    options.write(true).create_new(true).mode(mode);
    let written = options.open(&unfinished).and_then(|file| {
        let filled = fill(file)?;
        std::fs::rename(&unfinished, path)?;
        Ok(filled)
    });
    if written.is_err() {
        let _ = std::fs::remove_file(&unfinished);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// The name can be guessed, and who could write to the directory may have been there before.
    #[test]
    fn a_file_of_our_own_is_never_what_a_link_leads_to() {
        let directory = std::env::temp_dir().join(format!("wasmserve-own-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        let (secret, own) = (directory.join("secret"), directory.join("own"));
        std::fs::write(&secret, "kept").unwrap();
        for _ in 0..2 {
            symlink(&secret, &own).unwrap();
            make_own(&own).unwrap();
            assert_eq!(std::fs::read(&secret).unwrap(), b"kept");
            let made = std::fs::symlink_metadata(&own).unwrap();
            assert!(made.is_file() && made.mode() & 0o777 == 0o600);
            // So it is where a file is in its place.
            make_own(&own).unwrap();
            std::fs::remove_file(&own).unwrap();
        }
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
