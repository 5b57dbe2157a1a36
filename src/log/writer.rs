//! The log process writes logs to their files and to the system's log: whole lines, in the order in which they came.
//! While a file takes nothing, lines wait in the pipe, and after that in the processes that write them.

use super::destination::Destination;
use super::pipes::{self, LogOrder};
use super::system_log::{self, SystemLog};
use crate::sys::channel::{self, Piece, Received};
use crate::sys::file;
use crate::{error, info, warning};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// What could not be written is tried again after this time.
const PAUSE: Duration = Duration::from_millis(500);

/// At the end, what cannot be written is tried for this long.
const LAST: Duration = Duration::from_secs(3);

/// That a log cannot be written is told no more often than this.
const BETWEEN: Duration = Duration::from_secs(60);

/// A line that is longer leaves in pieces where the system's log takes it.
const LONGEST: usize = 32 << 10;

/// Writes until nobody is left who could have something to write, or until this is to end.
pub fn run(orders: OwnedFd) {
    let files = pipes::take().into_iter();
    let mut streams: Vec<_> = files
        .map(|file| {
            (
                Some(file.reader),
                LogStream::new(&file.destination, file.target),
            )
        })
        .collect();
    let mut orders = Some(orders);
    let mut buffer = vec![0; 64 << 10];
    let mut last: Option<Instant> = None;
    loop {
        let mut written = true;
        for (reader, stream) in &mut streams {
            written &= pass_on(reader, stream, &mut buffer);
            stream.tell();
        }
        let over = streams.iter().all(|(reader, _)| reader.is_none());
        if over && last.is_none() {
            last = Some(Instant::now() + LAST);
        }
        if last.is_some_and(|last| written || Instant::now() >= last) {
            for (reader, stream) in &mut streams {
                stream.tell_of_rest(reader.as_ref(), &mut buffer);
            }
            return;
        }
        wait(&streams, orders.as_ref());
        match orders.as_ref().map(|orders| obey(orders, &mut streams)) {
            Some(Obeyed::End) => last = Some(Instant::now() + LAST),
            Some(Obeyed::Closed) => orders = None,
            Some(Obeyed::All) | None => {}
        }
    }
}

/// `Obeyed` says what follows from the orders that have come.
enum Obeyed {
    /// The supervisor asks for nothing more for now.
    All,
    End,
    /// The supervisor is gone.
    Closed,
}

fn obey(orders: &OwnedFd, streams: &mut [(Option<OwnedFd>, LogStream)]) -> Obeyed {
    let mut bytes = [0; LogOrder::SIZE];
    loop {
        let (length, carried) = match channel::receive(orders, &mut bytes) {
            Ok(Received::Message(length, carried)) => (length, carried),
            Ok(Received::Nothing) => return Obeyed::All,
            Ok(Received::Closed) | Err(_) => return Obeyed::Closed,
        };
        match serde_json::from_slice(&bytes[..length]) {
            Ok(LogOrder::End) => return Obeyed::End,
            Ok(LogOrder::Reopened(index)) => {
                let stream = streams.get_mut(index);
                if let (Some((_, stream)), Some(target)) = (stream, carried.into_iter().next()) {
                    stream.turn(target);
                }
            }
            Err(_) => {}
        }
    }
}

/// Writes what is in the pipe, and says whether the file takes more.
fn pass_on(reader: &mut Option<OwnedFd>, stream: &mut LogStream, buffer: &mut [u8]) -> bool {
    while stream.flush() {
        let Some(pipe) = reader else { return true };
        match channel::read(pipe, buffer) {
            Ok(Piece::Bytes(length)) => stream.push(&buffer[..length]),
            Ok(Piece::Nothing) => return true,
            Ok(Piece::End) | Err(_) => {
                *reader = None;
                stream.end();
            }
        }
    }
    false
}

fn wait(streams: &[(Option<OwnedFd>, LogStream)], orders: Option<&OwnedFd>) {
    // Who has something in hand that cannot be written takes no more.
    let waiting = streams.iter().any(|(_, stream)| stream.is_behind());
    let ready = streams.iter().filter(|(_, stream)| !stream.is_behind());
    let readers = ready.filter_map(|(reader, _)| reader.as_ref());
    let mut polled: Vec<_> = readers
        .chain(orders)
        .map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN))
        .collect();
    let pause = match waiting {
        true => PollTimeout::try_from(PAUSE).unwrap_or(PollTimeout::MAX),
        false => PollTimeout::NONE,
    };
    let _ = poll(&mut polled, pause);
}

/// A `LogStream` is one log on its way to where it is kept.
pub struct LogStream {
    service: Option<SystemLog>,
    target: OwnedFd,
    /// The file is to be written to from the next line on.
    next: Option<OwnedFd>,
    held: Vec<u8>,
    /// The last line that was written has no end yet.
    in_line: bool,
    ended: bool,
    behind: bool,
    /// It is behind for this reason, and not because whoever receives has no time.
    trouble: Option<io::Error>,
    /// When that was told last, and whether it was told of the trouble that there is.
    told: Option<Instant>,
    is_told: bool,
    name: String,
}

impl LogStream {
    pub fn new(destination: &Destination, target: OwnedFd) -> LogStream {
        LogStream {
            service: SystemLog::of(destination),
            target,
            next: None,
            held: Vec::new(),
            in_line: false,
            ended: false,
            behind: false,
            trouble: None,
            told: None,
            is_told: false,
            name: destination
                .path()
                .unwrap_or("-".as_ref())
                .display()
                .to_string(),
        }
    }

    pub fn push(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    pub fn into_target(self) -> OwnedFd {
        self.target
    }

    /// Goes on in this file, once the line that was begun has its end in the other.
    fn turn(&mut self, target: OwnedFd) {
        self.next = Some(target);
        self.behind = false;
        self.turn_between_lines();
    }

    fn turn_between_lines(&mut self) {
        if !self.in_line
            && let Some(next) = self.next.take()
        {
            self.target = next;
        }
    }

    /// Ends the stream, as nothing more comes.
    fn end(&mut self) {
        self.ended = true;
    }

    fn is_behind(&self) -> bool {
        self.behind
    }

    /// Tells on standard error that lines wait, and that they do no more.
    fn tell(&mut self) {
        let name = &self.name;
        match &self.trouble {
            Some(why) if !self.is_told && self.told.is_none_or(|it| it.elapsed() >= BETWEEN) => {
                warning!(
                    "`{name}` cannot be written: {why}; its lines wait, and are lost when they are too many"
                );
                (self.told, self.is_told) = (Some(Instant::now()), true);
            }
            None if self.is_told => {
                info!("`{name}` is written again");
                self.is_told = false;
            }
            _ => {}
        }
    }

    /// Tells on standard error how many lines are left, as nothing more is tried.
    fn tell_of_rest(&mut self, reader: Option<&OwnedFd>, buffer: &mut [u8]) {
        while let Some(reader) = reader
            && self.behind
            && let Ok(Piece::Bytes(length)) = channel::read(reader, buffer)
        {
            self.push(&buffer[..length]);
        }
        let (name, lines) = (&self.name, self.held.iter().filter(|byte| **byte == b'\n'));
        if let (lost @ 1.., Some(why)) = (lines.count(), &self.trouble) {
            error!("{lost} lines of `{name}` are lost: {why}");
        }
    }

    /// Writes what is held, as far as it can be written now, and says whether that was all.
    pub fn flush(&mut self) -> bool {
        let mut done = 0;
        self.behind = false;
        if !self.held.is_empty() {
            self.trouble = None;
        }
        while done < self.held.len() && !self.behind {
            self.turn_between_lines();
            let rest = &self.held[done..];
            let end = rest.iter().position(|byte| *byte == b'\n');
            let result = match self.service {
                None => {
                    let piece = match (&self.next, end) {
                        (Some(_), Some(end)) => &rest[..=end],
                        _ => rest,
                    };
                    file::write(&self.target, piece)
                }
                Some(service) => match (end, self.ended || rest.len() >= LONGEST) {
                    (Some(end), _) => {
                        system_log::send(service, &self.target, &rest[..end]).map(|()| end + 1)
                    }
                    (None, true) => {
                        system_log::send(service, &self.target, rest).map(|()| rest.len())
                    }
                    (None, false) => break,
                },
            };
            match result {
                Ok(written) => {
                    done += written;
                    self.in_line = self.service.is_none() && self.held[done - 1] != b'\n';
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.behind = true;
                    self.trouble = Some(error).filter(|it| it.kind() != io::ErrorKind::WouldBlock);
                }
            }
        }
        self.held.drain(..done);
        !self.behind
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn content(path: &std::path::Path) -> String {
        let mut text = String::new();
        let mut file = std::fs::File::open(path).unwrap();
        file.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn a_line_that_was_begun_ends_in_the_file_that_it_began_in() {
        let directory = std::env::temp_dir();
        let path = |name| directory.join(format!("wasmserve-turn-{name}-{}", std::process::id()));
        let open = |name| std::fs::File::create(path(name)).unwrap().into();
        let mut stream = LogStream::new(&Destination::File(path("one")), open("one"));
        stream.push(b"first\nsec");
        assert!(stream.flush());
        stream.turn(open("two"));
        stream.push(b"ond\nthird\n");
        assert!(stream.flush());
        assert_eq!(content(&path("one")), "first\nsecond\n");
        assert_eq!(content(&path("two")), "third\n");
        for name in ["one", "two"] {
            std::fs::remove_file(path(name)).unwrap();
        }
    }

    #[test]
    fn what_cannot_be_written_is_kept() {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
        let destination = Destination::File("/dev/full".into());
        let mut stream = LogStream::new(&destination, full.unwrap().into());
        stream.push(b"first\n");
        assert!(!stream.flush() && stream.is_behind());
        let null = std::fs::OpenOptions::new().write(true).open("/dev/null");
        stream.turn(null.unwrap().into());
        assert!(stream.flush());
    }
}
