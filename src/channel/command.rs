//! The admin process asks these things of the supervisor: in records of a fixed size over a pipe, each part of which
//! is checked when it is read. Nothing is answered there: what comes of it stands in the scoreboard.

use super::Garbage;
use crate::sys::channel::{self, Piece};
use std::cell::Cell;
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

/// An `AdminOrder` is a command, and says whom it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdminOrder {
    pub command: AdminCommand,
    /// The server of the mount with this index, of those that the admin process was told of, is to obey; none where the
    /// server itself is.
    pub mount: Option<u16>,
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

/// An order is a number for the kind of the command, one that belongs to it, and one for whom it is for.
const SIZE: usize = 12;

impl AdminCommand {
    fn encode(self) -> (u32, u32) {
        match self {
            AdminCommand::Reload => (1, 0),
            AdminCommand::Scale(range) => (2, u32::from(range.least) << 16 | u32::from(range.most)),
            AdminCommand::Restart(pid) => (3, pid.cast_unsigned()),
            AdminCommand::Stop => (4, 0),
            AdminCommand::ReloadCanary => (5, 0),
            AdminCommand::Promote => (6, 0),
            AdminCommand::RollBack => (7, 0),
            AdminCommand::Profile(request) => (8, request.to_number()),
        }
    }

    fn decode(kind: u32, number: u32) -> Result<AdminCommand, Garbage> {
        match kind {
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

impl AdminOrder {
    /// Gives an order for the server itself.
    pub fn own(command: AdminCommand) -> AdminOrder {
        AdminOrder {
            command,
            mount: None,
        }
    }

    pub(super) fn encode(self) -> [u8; SIZE] {
        let (kind, number) = self.command.encode();
        let mount = self.mount.map_or(0, |index| u32::from(index) + 1);
        let mut bytes = [0; SIZE];
        bytes[..4].copy_from_slice(&kind.to_ne_bytes());
        bytes[4..8].copy_from_slice(&number.to_ne_bytes());
        bytes[8..].copy_from_slice(&mount.to_ne_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<AdminOrder, Garbage> {
        let (numbers, rest) = bytes.as_chunks::<4>();
        let (&[kind, number, mount], []) = (numbers, rest) else {
            return Err(Garbage);
        };
        let mount = match u32::from_ne_bytes(mount) {
            0 => None,
            beyond => Some(u16::try_from(beyond - 1).map_err(|_| Garbage)?),
        };
        let command = AdminCommand::decode(u32::from_ne_bytes(kind), u32::from_ne_bytes(number))?;
        Ok(AdminOrder { command, mount })
    }
}

/// A `CommandSender` is the admin process's end of the pipe.
#[derive(Debug)]
pub struct CommandSender(OwnedFd);

/// A `CommandReceiver` is the supervisor's end of the pipe.
#[derive(Debug)]
pub struct CommandReceiver {
    fd: OwnedFd,
    /// Nobody sends any more: a descriptor at its end would wake the supervisor for ever.
    closed: Cell<bool>,
}

/// Makes a channel for commands, on which neither end waits.
pub fn command_channel() -> io::Result<(CommandReceiver, CommandSender)> {
    let (receiver, sender) = channel::one_way()?;
    channel::never_wait(&sender)?;
    let receiver = CommandReceiver {
        fd: receiver,
        closed: Cell::new(false),
    };
    Ok((receiver, CommandSender(sender)))
}

impl CommandSender {
    /// Sends an order. Fails where nobody reads, or nobody has read for long.
    pub fn send(&self, order: AdminOrder) -> io::Result<()> {
        channel::write(&self.0, &order.encode())
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
    /// Receives the next order, if one is there.
    pub fn receive(&self) -> Option<Result<AdminOrder, Garbage>> {
        let mut bytes = [0; SIZE];
        match channel::read(&self.fd, &mut bytes) {
            Ok(Piece::Bytes(length)) => Some(AdminOrder::decode(&bytes[..length])),
            Ok(Piece::Nothing) => None,
            Ok(Piece::End) | Err(_) => {
                self.closed.set(true);
                None
            }
        }
    }

    pub fn descriptor(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Returns what to wait for, while somebody may send.
    pub fn open_descriptor(&self) -> Option<BorrowedFd<'_>> {
        (!self.closed.get()).then(|| self.fd.as_fd())
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
        let mounts = [None, Some(0), Some(u16::MAX)];
        let orders = commands
            .into_iter()
            .flat_map(|command| mounts.map(|mount| AdminOrder { command, mount }));
        let orders: Vec<AdminOrder> = orders.collect();
        for order in &orders {
            sender.send(*order).unwrap();
        }
        for order in orders {
            assert_eq!(receiver.receive(), Some(Ok(order)));
        }
        assert_eq!(receiver.receive(), None);
        assert!(receiver.open_descriptor().is_some());
        drop(sender);
        assert_eq!(receiver.receive(), None);
        assert!(receiver.open_descriptor().is_none());
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
            let bytes = [kind, number, 0].map(u32::to_ne_bytes).concat();
            assert_eq!(AdminOrder::decode(&bytes), Err(Garbage), "{kind} {number}");
        }
        let nobody = [1, 0, 1 << 16 | 1].map(u32::to_ne_bytes).concat();
        assert_eq!(AdminOrder::decode(&nobody), Err(Garbage));
        assert_eq!(AdminOrder::decode(&[1, 0, 0, 0]), Err(Garbage));
        assert_eq!(AdminOrder::decode(&[]), Err(Garbage));
    }

    #[test]
    fn nobody_waits_for_a_supervisor_that_does_not_read() {
        let (_receiver, sender) = command_channel().unwrap();
        let order = AdminOrder::own(AdminCommand::Reload);
        let error = (0..1_000_000).find_map(|_| sender.send(order).err());
        assert_eq!(error.unwrap().kind(), io::ErrorKind::WouldBlock);
    }
}
