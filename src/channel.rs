//! Processes tell each other things here. What a child tells the supervisor (that it is ready, or why it cannot go on)
//! is one record of a fixed size over a pipe: a pipe carries no descriptors, and reading it waits for nobody. What the
//! supervisor tells others, and one executable the next, is JSON.

mod code_info;
mod command;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod listener;
mod mount_name;
mod record;

pub use code_info::{CodeInfo, Needs, Restore, Target, World};
pub use command::{
    AdminCommand, AdminOrder, CommandReceiver, CommandSender, ProfileRequest, WorkerRange,
    command_channel,
};
pub use listener::{FileIdentity, LeftListener, LeftMount, ListenerKind, SocketMaker};
pub use mount_name::{canonical_host, canonical_mount};
pub use record::Garbage;

use crate::cache::{CodeName, CodeOrigin};
use crate::exit::Status;
use crate::sys::channel::{self, Piece};
use record::Record;
use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// A `ChildMessage` is one message of a child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChildMessage {
    /// A zygote has forked a process, which says that it is this one.
    Forked { pid: i32 },
    /// The process can do what it was forked for.
    Ready,
    /// A worker has answered as many requests as it should.
    Spent,
    /// Something goes on in a worker that nothing ends.
    Stuck,
    /// The compiler found code of this name in the cache, and is about to load it.
    Found(CodeName),
    /// The compiler has the code of one of the components that it was given.
    Code(CodeReport),
    /// The child says its last words, in one line that is safe to be logged, and the status that they call for.
    Failed { status: Status, text: String },
}

/// A `CodeReport` says of which component there is code, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeReport {
    /// The application is the first, the steps before the start follow.
    pub index: u32,
    pub origin: CodeOrigin,
    /// This is what has to be known to load the code.
    pub info: CodeInfo,
}

/// No child of ours sends more messages than this in its life. One that does is not ours any more.
const MOST: u32 = 8;

/// A `Reporter` is the child's end of a channel.
#[derive(Debug)]
pub struct Reporter(OwnedFd);

/// A `Receiver` is the supervisor's end of a channel.
#[derive(Debug)]
pub struct Receiver {
    fd: OwnedFd,
    /// This many messages may still come.
    left: Cell<u32>,
    /// The child closed its end: a descriptor at its end would wake the supervisor for ever.
    closed: Cell<bool>,
}

/// Makes a channel from a child to the supervisor.
pub fn channel() -> io::Result<(Receiver, Reporter)> {
    let (receiver, reporter) = channel::one_way()?;
    Ok((Receiver::from(receiver), Reporter(reporter)))
}

impl From<OwnedFd> for Reporter {
    fn from(fd: OwnedFd) -> Reporter {
        Reporter(fd)
    }
}

impl Reporter {
    /// Says which process this is. An error where nobody is there to be told.
    pub fn forked(&self, pid: i32) -> io::Result<()> {
        self.send(&ChildMessage::Forked { pid })
    }

    pub fn ready(&self) {
        self.say(&ChildMessage::Ready);
    }

    pub fn spent(&self) {
        self.say(&ChildMessage::Spent);
    }

    pub fn stuck(&self) {
        self.say(&ChildMessage::Stuck);
    }

    pub fn found(&self, name: CodeName) {
        self.say(&ChildMessage::Found(name));
    }

    pub fn code(&self, report: CodeReport) {
        self.say(&ChildMessage::Code(report));
    }

    pub fn failed(&self, status: Status, text: &str) {
        let text = text.to_owned();
        self.say(&ChildMessage::Failed { status, text });
    }

    pub fn descriptor(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Sends a message. A supervisor that is gone needs none.
    fn say(&self, message: &ChildMessage) {
        let _ = self.send(message);
    }

    fn send(&self, message: &ChildMessage) -> io::Result<()> {
        channel::write(&self.0, Record::from(message).bytes())
    }
}

impl From<OwnedFd> for Receiver {
    fn from(fd: OwnedFd) -> Receiver {
        Receiver {
            fd,
            left: Cell::new(MOST),
            closed: Cell::new(false),
        }
    }
}

impl Receiver {
    /// This many messages more may come than usual.
    pub fn expect(&self, further: u32) {
        self.left.set(self.left.get().saturating_add(further));
    }

    /// Receives the next message, if one is there. After garbage nothing more is read.
    pub fn receive(&self) -> Option<Result<ChildMessage, Garbage>> {
        if self.closed.get() {
            return None;
        }
        let mut record = Record::default();
        let read = match channel::read(&self.fd, record.bytes_mut()) {
            Ok(Piece::Nothing) => return None,
            Ok(Piece::Bytes(length)) => record.message(length),
            Ok(Piece::End) | Err(_) => {
                self.closed.set(true);
                return None;
            }
        };
        let read = match self.left.get() {
            0 => Err(Garbage),
            left => {
                self.left.set(left - 1);
                read
            }
        };
        self.closed.set(read.is_err());
        Some(read)
    }

    /// Returns what to wait for, until the child has closed its end.
    pub fn open_descriptor(&self) -> Option<BorrowedFd<'_>> {
        (!self.closed.get()).then(|| self.fd.as_fd())
    }

    /// Says whether nothing more is to come.
    pub fn has_ended(&self) -> bool {
        self.closed.get()
    }

    /// Says whether every process that could send is gone.
    pub fn is_hung_up(&self) -> bool {
        channel::is_hung_up(&self.fd)
    }

    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_understood() {
        let (receiver, reporter) = channel().unwrap();
        assert_eq!(receiver.receive(), None);
        reporter.forked(17).unwrap();
        reporter.ready();
        reporter.spent();
        reporter.stuck();
        reporter.failed(Status::Application, "no such file");
        let next = || receiver.receive().unwrap().unwrap();
        assert_eq!(next(), ChildMessage::Forked { pid: 17 });
        assert_eq!(next(), ChildMessage::Ready);
        assert_eq!(next(), ChildMessage::Spent);
        assert_eq!(next(), ChildMessage::Stuck);
        let (status, text) = (Status::Application, "no such file".to_owned());
        assert_eq!(next(), ChildMessage::Failed { status, text });
        assert!(receiver.open_descriptor().is_some());
        drop(reporter);
        assert_eq!(receiver.receive(), None);
        assert!(receiver.open_descriptor().is_none());
    }

    fn info() -> CodeInfo {
        CodeInfo {
            target: Target {
                world: World::P2,
                concurrent: false,
                restore: Restore::Checked,
                inlining: true,
            },
            websockets: false,
            lifecycle: true,
            needs: Needs {
                memories: 1,
                initial_memory: 1 << 16,
                tables: 1,
                table_elements: 10_000,
            },
        }
    }

    #[test]
    fn code_is_told_of_as_it_was() {
        let name = CodeName {
            component: [7; 32],
            engine: 9,
        };
        let (receiver, reporter) = channel().unwrap();
        for origin in [
            CodeOrigin::Cached(name),
            CodeOrigin::Written(vec![name; 2]),
            CodeOrigin::Written(Vec::new()),
        ] {
            let report = CodeReport {
                index: 3,
                origin,
                info: info(),
            };
            reporter.code(report.clone());
            assert_eq!(receiver.receive(), Some(Ok(ChildMessage::Code(report))));
        }
    }

    #[test]
    fn last_words_are_cut_and_forge_nothing() {
        let (receiver, reporter) = channel().unwrap();
        let words = format!("a\nERROR: b\x1b[2J\u{202e}{}", "\u{e4}".repeat(10_000));
        reporter.failed(Status::Internal, &words);
        let Some(Ok(ChildMessage::Failed { text, .. })) = receiver.receive() else {
            panic!("no last words");
        };
        assert!(
            text.starts_with("a ERROR: b\\u{1b}[2J\\u{202e}\u{e4}"),
            "{text}"
        );
        assert!(text.len() < 8192 && !text.contains('\u{fffd}'), "{text}");
    }

    /// A worker that was taken over can write what it likes, as often as it likes.
    #[test]
    fn what_no_child_sends_is_garbage_and_ends_the_conversation() {
        for bytes in [&b"r"[..], &[0xff; 4096], &[0; 4096], &[0xff; 9000]] {
            let (receiver, reporter) = channel().unwrap();
            channel::write(&reporter.0, bytes).unwrap();
            reporter.ready();
            assert_eq!(receiver.receive(), Some(Err(Garbage)));
            assert_eq!(receiver.receive(), None);
            assert!(receiver.open_descriptor().is_none());
        }
    }

    #[test]
    fn a_flood_is_garbage() {
        let (receiver, reporter) = channel().unwrap();
        (0..12).for_each(|_| reporter.ready());
        let understood = std::iter::from_fn(|| receiver.receive()).take_while(Result::is_ok);
        assert_eq!(understood.count(), MOST as usize);
        assert!(receiver.open_descriptor().is_none());
    }

    /// A socket that lingers, received and closed, would keep the supervisor for as long as its sender likes.
    #[test]
    fn no_descriptor_can_come_with_a_message() {
        let (_receiver, reporter) = channel().unwrap();
        let carried = std::io::stdin();
        let sent = channel::send(&reporter.0, b"x", &[carried.as_fd()]);
        let not_a_socket = Some(libc::ENOTSOCK);
        assert_eq!(sent.unwrap_err().raw_os_error(), not_a_socket);
    }
}
