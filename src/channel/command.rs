//! The admin process asks these things of the supervisor: in records of a fixed size over a pipe, each part of which
//! is checked when it is read. Nothing is answered there: what comes of it stands in the scoreboard.

use super::Garbage;
use crate::sys::channel::{self, Piece};
use std::fmt::{self, Display, Formatter};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::str::FromStr;

/// An `AdminCommand` is one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminCommand {
    Reload,
    /// A reload whose version is compared with the one that is served first.
    ReloadCanary,
    /// The canary's version is to be served by all workers.
    Promote,
    /// The canary is to end.
    RollBack,
    /// This many workers are wanted.
    Scale(WorkerRange),
    /// The worker that is this process is to be replaced.
    Restart(i32),
    Stop,
    /// A profile of what guests run is to be made, for some seconds: of the worker that is this process, or of all.
    Profile(ProfileRequest),
}

/// A `ProfileRequest` says for how long a profile is made, and of whom. It has 32 bits in all: process ids have 22
/// (proc_pid_max(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProfileRequest {
    seconds: u16,
    pid: i32,
}

impl ProfileRequest {
    /// A profile takes no more seconds than this.
    pub const LONGEST: u16 = 600;

    /// Makes the request; none where it is for too long or for no process. All workers are meant where there is no
    /// process.
    pub fn new(seconds: u16, pid: Option<i32>) -> Option<ProfileRequest> {
        let pid = pid.map_or(Some(0), |pid| (1 < pid && pid < 1 << 22).then_some(pid))?;
        let right = (1..=ProfileRequest::LONGEST).contains(&seconds);
        right.then_some(ProfileRequest { seconds, pid })
    }

    pub fn seconds(self) -> u64 {
        self.seconds.into()
    }

    /// Says whether the worker that is this process is meant.
    pub fn is_for(self, pid: i32) -> bool {
        self.pid == 0 || self.pid == pid
    }

    pub fn pid(self) -> Option<i32> {
        (self.pid != 0).then_some(self.pid)
    }

    pub fn to_number(self) -> u32 {
        self.pid.cast_unsigned() << 10 | u32::from(self.seconds)
    }

    pub fn from_number(number: u32) -> Option<ProfileRequest> {
        let pid = (number >> 10).cast_signed();
        ProfileRequest::new((number & 0x3ff) as u16, (pid != 0).then_some(pid))
    }
}

/// A `WorkerRange` is a number of workers between these bounds: both included, and at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerRange {
    least: u16,
    most: u16,
}

impl WorkerRange {
    /// Returns `None` where there would be no worker, or the lesser bound is the greater one.
    pub fn new(least: u16, most: u16) -> Option<WorkerRange> {
        (1 <= least && least <= most).then_some(WorkerRange { least, most })
    }

    pub fn least(self) -> usize {
        self.least.into()
    }

    pub fn most(self) -> usize {
        self.most.into()
    }

    /// Says whether it is one number.
    pub fn is_fixed(self) -> bool {
        self.least == self.most
    }

    pub fn clamp(self, workers: usize) -> usize {
        workers.clamp(self.least(), self.most())
    }

    /// Gives the bounds with a lesser upper one, but not less than the lower one; none where that changes nothing.
    pub fn at_most(self, most: u16) -> Option<WorkerRange> {
        let most = most.max(self.least);
        (most < self.most).then_some(WorkerRange { most, ..self })
    }

    /// Gives the bounds that are this many workers further up, or further down; at least one, and at most `limit`.
    pub fn moved(self, by: i16, limit: usize) -> WorkerRange {
        let limit = u16::try_from(limit).unwrap_or(u16::MAX).max(1);
        let moved = |bound: u16| bound.saturating_add_signed(by).clamp(1, limit);
        WorkerRange {
            least: moved(self.least),
            most: moved(self.most),
        }
    }
}

impl Display for WorkerRange {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.is_fixed() {
            true => write!(f, "{}", self.most),
            false => write!(f, "{}..{}", self.least, self.most),
        }
    }
}

/// Reads `4`, or `2..8`.
impl FromStr for WorkerRange {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<WorkerRange, &'static str> {
        let (least, most) = text.split_once("..").unwrap_or((text, text));
        let range = match (least.parse(), most.parse()) {
            (Ok(least), Ok(most)) => WorkerRange::new(least, most),
            _ => None,
        };
        range.ok_or("write 4, or 2..8: at least one, and the lesser number first")
    }
}

/// A command is a number for its kind, and one that belongs to it.
const SIZE: usize = 8;

impl AdminCommand {
    pub(super) fn encode(self) -> [u8; SIZE] {
        let (kind, number) = match self {
            AdminCommand::Reload => (1_u32, 0),
            AdminCommand::Scale(range) => (2, u32::from(range.least) << 16 | u32::from(range.most)),
            AdminCommand::Restart(pid) => (3, pid.cast_unsigned()),
            AdminCommand::Stop => (4, 0),
            AdminCommand::ReloadCanary => (5, 0),
            AdminCommand::Promote => (6, 0),
            AdminCommand::RollBack => (7, 0),
            AdminCommand::Profile(request) => (8, request.to_number()),
        };
        let mut bytes = [0; SIZE];
        bytes[..4].copy_from_slice(&kind.to_ne_bytes());
        bytes[4..].copy_from_slice(&number.to_ne_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<AdminCommand, Garbage> {
        let (kind, number) = bytes.split_first_chunk().ok_or(Garbage)?;
        let number = u32::from_ne_bytes(number.try_into().map_err(|_| Garbage)?);
        match u32::from_ne_bytes(*kind) {
            1 if number == 0 => Ok(AdminCommand::Reload),
            2 => WorkerRange::new((number >> 16) as u16, number as u16)
                .map(AdminCommand::Scale)
                .ok_or(Garbage),
            3 if number.cast_signed() > 1 => Ok(AdminCommand::Restart(number.cast_signed())),
            4 if number == 0 => Ok(AdminCommand::Stop),
            5 if number == 0 => Ok(AdminCommand::ReloadCanary),
            6 if number == 0 => Ok(AdminCommand::Promote),
            7 if number == 0 => Ok(AdminCommand::RollBack),
            8 => ProfileRequest::from_number(number)
                .map(AdminCommand::Profile)
                .ok_or(Garbage),
            _ => Err(Garbage),
        }
    }
}

/// A `CommandSender` is the admin process's end of the pipe.
#[derive(Debug)]
pub struct CommandSender(OwnedFd);

/// A `CommandReceiver` is the supervisor's end of the pipe.
#[derive(Debug)]
pub struct CommandReceiver(OwnedFd);

/// Makes a channel for commands, on which neither end waits.
pub fn command_channel() -> io::Result<(CommandReceiver, CommandSender)> {
    let (receiver, sender) = channel::one_way()?;
    channel::never_wait(&sender)?;
    Ok((CommandReceiver(receiver), CommandSender(sender)))
}

impl CommandSender {
    /// Sends a command. Fails where nobody reads, or nobody has read for long.
    pub fn send(&self, command: AdminCommand) -> io::Result<()> {
        channel::write(&self.0, &command.encode())
    }

    pub fn descriptor(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Opens another descriptor of the same pipe, which has an error once nobody reads orders any more (poll(2),
    /// POLLERR).
    pub fn watched(&self) -> io::Result<OwnedFd> {
        self.0.try_clone()
    }
}

impl CommandReceiver {
    /// Receives the next command, if one is there.
    pub fn receive(&self) -> Option<Result<AdminCommand, Garbage>> {
        let mut bytes = [0; SIZE];
        match channel::read(&self.0, &mut bytes) {
            Ok(Piece::Bytes(length)) => Some(AdminCommand::decode(&bytes[..length])),
            Ok(Piece::Nothing | Piece::End) | Err(_) => None,
        }
    }

    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_arrive() {
        let (receiver, sender) = command_channel().unwrap();
        let commands = [
            AdminCommand::Reload,
            AdminCommand::Scale(WorkerRange::new(7, 300).unwrap()),
            AdminCommand::Restart(4711),
            AdminCommand::Stop,
            AdminCommand::ReloadCanary,
            AdminCommand::Promote,
            AdminCommand::RollBack,
            AdminCommand::Profile(ProfileRequest::new(600, Some(4_194_303)).unwrap()),
            AdminCommand::Profile(ProfileRequest::new(1, None).unwrap()),
        ];
        for command in commands {
            sender.send(command).unwrap();
        }
        for command in commands {
            assert_eq!(receiver.receive(), Some(Ok(command)));
        }
        assert_eq!(receiver.receive(), None);
        drop(sender);
        assert_eq!(receiver.receive(), None);
    }

    /// A process that was taken over may write anything.
    #[test]
    fn what_is_out_of_range_is_garbage() {
        for (kind, number) in [
            (0_u32, 0_u32),
            (1, 1),
            (2, 0),
            (2, 7),
            (2, 1 << 16),
            (2, 2 << 16 | 1),
            (3, 0),
            (3, 1),
            (3, u32::MAX),
            (5, 1),
            (6, 1),
            (7, 1),
            (8, 0),
            (8, 601),
            (8, 1 << 10 | 5),
            (9, 0),
        ] {
            let bytes = [kind.to_ne_bytes(), number.to_ne_bytes()].concat();
            assert_eq!(
                AdminCommand::decode(&bytes),
                Err(Garbage),
                "{kind} {number}"
            );
        }
        assert_eq!(AdminCommand::decode(&[1, 0, 0, 0]), Err(Garbage));
        assert_eq!(AdminCommand::decode(&[]), Err(Garbage));
    }

    #[test]
    fn nobody_waits_for_a_supervisor_that_does_not_read() {
        let (_receiver, sender) = command_channel().unwrap();
        let error = (0..1_000_000).find_map(|_| sender.send(AdminCommand::Reload).err());
        assert_eq!(error.unwrap().kind(), io::ErrorKind::WouldBlock);
    }
}
