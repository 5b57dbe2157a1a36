//! What a child tells the supervisor: that it is ready, what it made, or why it cannot go on.

use crate::exit::Status;
use crate::sys::channel;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

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

/// The supervisor's end.
#[derive(Debug)]
pub struct Receiver(OwnedFd);

/// A channel from a child to the supervisor.
pub fn channel() -> io::Result<(Receiver, Reporter)> {
    let (receiver, reporter) = channel::pair()?;
    Ok((Receiver(receiver), Reporter(reporter)))
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

    /// A supervisor that is gone needs no messages.
    fn send(&self, bytes: &[u8], carried: Option<BorrowedFd<'_>>) {
        let bytes = &bytes[..bytes.len().min(LONGEST)];
        let _ = channel::send(&self.0, bytes, carried);
    }
}

impl Receiver {
    /// The next message, if one is there. Nothing that cannot be understood is passed on.
    pub fn receive(&self) -> Option<Message> {
        let mut buffer = vec![0; LONGEST];
        let (length, carried) = channel::receive(&self.0, &mut buffer).ok()??;
        let text = String::from_utf8_lossy(&buffer[..length]);
        let mut chars = text.chars();
        match (chars.next(), carried) {
            (Some('r'), None) => Some(Message::Ready),
            (Some('s'), None) => Some(Message::Spent),
            (Some('c'), Some(code)) => Some(Message::Compiled {
                code,
                note: chars.collect(),
            }),
            (Some('f'), None) => Some(Message::Failed {
                status: Status::of_code(chars.next()?.to_digit(10)?.cast_signed()),
                text: chars.collect(),
            }),
            _ => None,
        }
    }

    pub fn descriptor(&self) -> BorrowedFd<'_> {
        std::os::fd::AsFd::as_fd(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::fd::AsFd;

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
        drop(reporter);
        assert!(receiver.receive().is_none());
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
