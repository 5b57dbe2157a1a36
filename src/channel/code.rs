//! The compiler's own channel: the code that it made, behind a descriptor, and a note about it.

use crate::sys::channel::{self, Received};
use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// A note is cut to this many bytes.
const LONGEST: usize = 16 << 10;

/// The compiler's end.
#[derive(Debug)]
pub struct CodeSender(OwnedFd);

/// The supervisor's end.
#[derive(Debug)]
pub struct CodeReceiver {
    fd: OwnedFd,
    closed: Cell<bool>,
}

/// A channel from the compiler to the supervisor.
pub fn code_channel() -> io::Result<(CodeReceiver, CodeSender)> {
    let (receiver, sender) = channel::pair()?;
    let closed = Cell::new(false);
    Ok((
        CodeReceiver {
            fd: receiver,
            closed,
        },
        CodeSender(sender),
    ))
}

impl CodeSender {
    /// A supervisor that is gone needs no code.
    pub fn compiled(&self, code: BorrowedFd<'_>, note: &str) {
        let note = &note.as_bytes()[..note.len().min(LONGEST)];
        // An empty message would be taken for the end.
        let text = [b"c", note].concat();
        let _ = channel::send(&self.0, &text, &[code]);
    }

    pub fn descriptor(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl CodeReceiver {
    /// The code and the note, if they are there.
    pub fn receive(&self) -> Option<(OwnedFd, String)> {
        let mut buffer = vec![0; LONGEST + 1];
        match channel::receive(&self.fd, &mut buffer) {
            Ok(Received::Message(length, carried)) => {
                let note = String::from_utf8_lossy(buffer.get(1..length)?);
                Some((carried.into_iter().next()?, note.into_owned()))
            }
            Ok(Received::Nothing) => None,
            Ok(Received::Closed) | Err(_) => {
                self.closed.set(true);
                None
            }
        }
    }

    /// What to wait for, until the compiler has closed its end.
    pub fn open_descriptor(&self) -> Option<BorrowedFd<'_>> {
        (!self.closed.get()).then(|| self.fd.as_fd())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn code_arrives_with_its_note() {
        let (receiver, sender) = code_channel().unwrap();
        assert!(receiver.receive().is_none());
        let file = crate::sys::memory::sealed_file("test", b"code").unwrap();
        sender.compiled(file.as_fd(), "2 0");
        let (code, note) = receiver.receive().unwrap();
        let mut text = String::new();
        let path = format!("/proc/self/fd/{}", code.as_raw_fd());
        let mut file = std::fs::File::open(path).unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), note.as_str()), ("code", "2 0"));
        drop(sender);
        assert!(receiver.receive().is_none());
        assert!(receiver.open_descriptor().is_none());
    }
}
