//! What a child tells the supervisor: that it is ready, what it made, or why it cannot go on.

use crate::exit::Status;
use crate::sys::channel::{self, Received};
use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// One message of a child.
#[derive(Debug)]
pub enum Message {
    /// A worker can serve.
    Ready,
    /// A worker has answered as many requests as it should.
    Spent,
    /// The compiler made this code; the note is for the workers.
    Compiled { code: OwnedFd, note: String },
    /// The child's last words, and the status that they call for.
    Failed { status: Status, text: String },
}

/// A message is cut to this many bytes.
const LONGEST: usize = 16 << 10;

/// The child's end.
#[derive(Debug)]
pub struct Reporter(OwnedFd);

impl From<OwnedFd> for Reporter {
    fn from(fd: OwnedFd) -> Reporter {
        Reporter(fd)
    }
}

/// The supervisor's end.
#[derive(Debug)]
pub struct Receiver {
    fd: OwnedFd,
    /// The child closed its end: a descriptor at its end would wake the supervisor for ever.
    closed: Cell<bool>,
}

/// A channel from a child to the supervisor.
pub fn channel() -> io::Result<(Receiver, Reporter)> {
    let (receiver, reporter) = channel::pair()?;
    Ok((Receiver::from(receiver), Reporter(reporter)))
}

impl Reporter {
    pub fn ready(&self) {
        self.send(b"r", None);
    }

    pub fn spent(&self) {
        self.send(b"s", None);
    }

    pub fn compiled(&self, code: BorrowedFd<'_>, note: &str) {
        self.send(format!("c{note}").as_bytes(), Some(code));
    }

    pub fn failed(&self, status: Status, text: &str) {
        self.send(format!("f{}{text}", status.code()).as_bytes(), None);
    }

    pub fn descriptor(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// A supervisor that is gone needs no messages.
    fn send(&self, bytes: &[u8], carried: Option<BorrowedFd<'_>>) {
        let bytes = &bytes[..bytes.len().min(LONGEST)];
        let _ = channel::send(&self.0, bytes, carried);
    }
}

impl From<OwnedFd> for Receiver {
    fn from(fd: OwnedFd) -> Receiver {
        let closed = Cell::new(false);
        Receiver { fd, closed }
    }
}

impl Receiver {
    /// The next message, if one is there. Nothing that cannot be understood is passed on.
    pub fn receive(&self) -> Option<Message> {
        let mut buffer = vec![0; LONGEST];
        loop {
            match channel::receive(&self.fd, &mut buffer) {
                Ok(Received::Message(length, carried)) => {
                    if let Some(message) = understood(&buffer[..length], carried) {
                        return Some(message);
                    }
                }
                Ok(Received::Nothing) => return None,
                Ok(Received::Closed) | Err(_) => {
                    self.closed.set(true);
                    return None;
                }
            }
        }
    }

    /// What to wait for, until the child has closed its end.
    pub fn open_descriptor(&self) -> Option<BorrowedFd<'_>> {
        (!self.closed.get()).then(|| self.fd.as_fd())
    }

    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn understood(bytes: &[u8], carried: Option<OwnedFd>) -> Option<Message> {
    let text = String::from_utf8_lossy(bytes);
    let mut chars = text.chars();
    match (chars.next()?, carried) {
        ('r', None) => Some(Message::Ready),
        ('s', None) => Some(Message::Spent),
        ('c', Some(code)) => Some(Message::Compiled {
            code,
            note: chars.collect(),
        }),
        ('f', None) => Some(Message::Failed {
            status: Status::of_code(chars.next()?.to_digit(10)?.cast_signed()),
            text: chars.collect(),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_child_is_understood() {
        let (receiver, reporter) = channel().unwrap();
        assert!(receiver.receive().is_none());
        reporter.ready();
        reporter.failed(Status::Application, "no such file");
        assert!(matches!(receiver.receive(), Some(Message::Ready)));
        match receiver.receive() {
            Some(Message::Failed { status, text }) => {
                assert_eq!(
                    (status, text.as_str()),
                    (Status::Application, "no such file")
                );
            }
            other => panic!("{other:?}"),
        }
        assert!(receiver.open_descriptor().is_some());
        drop(reporter);
        assert!(receiver.receive().is_none());
        assert!(receiver.open_descriptor().is_none());
    }

    #[test]
    fn code_travels_with_its_note() {
        let (receiver, reporter) = channel().unwrap();
        let code = crate::sys::memory::sealed_file("test", b"code").unwrap();
        reporter.compiled(code.as_fd(), "2 0");
        let Some(Message::Compiled { code, note }) = receiver.receive() else {
            panic!("no code");
        };
        let mut text = String::new();
        let path = format!("/proc/self/fd/{}", code.as_raw_fd());
        std::fs::File::open(path)
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!((text.as_str(), note.as_str()), ("code", "2 0"));
    }
}
