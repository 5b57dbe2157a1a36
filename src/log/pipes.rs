//! A log that is not a standard stream has a pipe, which every process writes to, and at its end something open, which
//! one process alone writes to. So a file is opened again without any process noticing, and what is written meanwhile
//! waits in the pipe. This file is what the supervisor keeps of them.

use super::destination::Destination;
use super::line_writer::LineWriter;
use crate::error;
use crate::sys::channel::{self, Piece};
use crate::sys::file::{self, Identity, LogTarget};
use serde::{Deserialize, Serialize};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Lines wait in a pipe of this many bytes, where the kernel allows it (F_SETPIPE_SZ, fcntl(2)).
const PIPE: usize = 1 << 20;

/// A `PipedLog` is one log that has a pipe.
pub struct PipedLog {
    pub destination: Destination,
    pub reader: OwnedFd,
    pub target: OwnedFd,
    output: &'static LineWriter,
    /// The file of the socket that was connected to, where it is one.
    socket: Option<Identity>,
}

static LOGS: Mutex<Vec<PipedLog>> = Mutex::new(Vec::new());

fn logs() -> MutexGuard<'static, Vec<PipedLog>> {
    LOGS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Adds a log, which is open, and has the output write to its pipe.
pub(super) fn add(
    destination: &Destination,
    target: OwnedFd,
    output: &'static LineWriter,
) -> io::Result<()> {
    let (reader, writer) = channel::one_way()?;
    channel::widen(&writer, PIPE);
    output.redirect(writer);
    logs().push(PipedLog {
        destination: destination.clone(),
        reader,
        target,
        output,
        socket: socket(destination),
    });
    Ok(())
}

fn socket(destination: &Destination) -> Option<Identity> {
    let path = destination.path().filter(|_| destination.is_service())?;
    file::identity(path)
}

/// Says whether there is something to write for a process of its own.
pub fn any() -> bool {
    !logs().is_empty()
}

/// Lists the descriptors that the process which writes must keep.
pub fn descriptors() -> Vec<RawFd> {
    let files = logs();
    let both = files
        .iter()
        .map(|file| [file.reader.as_raw_fd(), file.target.as_raw_fd()]);
    both.flatten().collect()
}

/// Names the logs, in the order of the list.
pub fn names() -> Vec<String> {
    let files = logs();
    let places = files.iter().filter_map(|file| file.destination.path());
    places
        .map(|place| place.to_string_lossy().into_owned())
        .collect()
}

/// Opens the logs again, all of them or those whose socket is another than it was, and gives what is open now with the
/// place in the list. One that cannot be opened goes on as it is.
pub fn reopened(all: bool) -> Vec<(usize, io::Result<OwnedFd>)> {
    let mut failed = Vec::new();
    let mut opened = Vec::new();
    for (index, file) in logs().iter_mut().enumerate() {
        let socket = socket(&file.destination);
        let is_another = socket.is_some() && socket != file.socket;
        if !all && !is_another {
            continue;
        }
        match file.destination.open() {
            Ok(LogTarget::Kept(target)) => {
                file.socket = socket;
                opened.push((index, target.try_clone()));
                file.target = target;
            }
            Ok(LogTarget::Other(_)) => failed.push(anyhow::anyhow!("what is there now is no file")),
            Err(why) => failed.push(why),
        }
    }
    for why in failed {
        error!("a log is not opened again, and goes on as it was: {why:#}");
    }
    opened
}

/// Takes the list for the process that writes. Its own lines go where they went before.
pub(super) fn take() -> Vec<PipedLog> {
    let files = std::mem::take(&mut *logs());
    files.iter().for_each(|file| file.output.restore());
    files
}

/// Writes what is still in the pipes, and has this process write without them. For one that is the last.
pub fn finish() {
    let mut buffer = vec![0; 64 << 10];
    for file in std::mem::take(&mut *logs()) {
        let mut stream = super::writer::LogStream::new(&file.destination, file.target);
        while let Ok(Piece::Bytes(length)) = channel::read(&file.reader, &mut buffer) {
            stream.push(&buffer[..length]);
            if !stream.flush() {
                break;
            }
        }
        match file.destination {
            Destination::File(_) => file.output.redirect(stream.into_target()),
            _ => file.output.restore(),
        }
    }
}

/// A `LogOrder` is what the supervisor asks of the process that writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum LogOrder {
    /// The log with this place in the list was opened again, and comes with the order.
    Reopened(usize),
    /// The process is to write what there is, and to end then.
    End,
}

impl LogOrder {
    /// An order takes no more bytes than this.
    pub(super) const SIZE: usize = 64;

    fn send(self, orders: &OwnedFd, carried: &[BorrowedFd<'_>]) -> io::Result<()> {
        channel::send(orders, &serde_json::to_vec(&self)?, carried)
    }
}

/// Sends a log that was opened again to the process that writes.
pub fn send(orders: &OwnedFd, index: usize, target: &OwnedFd) -> io::Result<()> {
    LogOrder::Reopened(index).send(orders, &[target.as_fd()])
}

/// Tells the process that writes to write what there is, and to end.
pub fn send_end(orders: &OwnedFd) -> io::Result<()> {
    LogOrder::End.send(orders, &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_has_room() {
        for order in [LogOrder::End, LogOrder::Reopened(usize::MAX)] {
            let written = serde_json::to_vec(&order).unwrap();
            assert!(written.len() <= LogOrder::SIZE);
            assert_eq!(serde_json::from_slice::<LogOrder>(&written).unwrap(), order);
        }
    }
}
