//! The child processes: how they are forked, and what is kept of each.

use super::policy::Id;
use super::{Roles, Seat};
use crate::channel::{Message, Receiver, channel};
use crate::exit::Status;
use crate::log;
use crate::scoreboard::{Phase, Scoreboard};
use crate::sys::channel::pipe;
use crate::sys::{clock, fork, process, signals};
use nix::unistd::Pid;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::rc::Rc;

/// A version of the application: what to do, and the code to do it with.
pub struct Generation<R> {
    pub number: u32,
    pub roles: Rc<R>,
    pub code: OwnedFd,
    pub note: String,
}

/// A worker process.
pub struct Child {
    pub id: Id,
    pub pid: Pid,
    pub slot: usize,
    pub receiver: Receiver,
}

/// The compiler process.
pub struct Compiler<R> {
    pub number: u32,
    pub roles: Rc<R>,
    pub pid: Pid,
    pub receiver: Receiver,
    /// What it made, until it has ended.
    pub made: Option<(OwnedFd, String)>,
    pub failed: Option<(Status, String)>,
}

impl<R> Compiler<R> {
    /// Takes note of what it said.
    pub fn listen(&mut self) {
        for message in messages(&self.receiver) {
            match message {
                Message::Compiled { code, note } => self.made = Some((code, note)),
                Message::Failed { status, text } => self.failed = Some((status, text)),
                Message::Ready | Message::Spent => {}
            }
        }
    }
}

/// What every fork needs.
pub struct Nursery {
    pub scoreboard: Rc<Scoreboard>,
    /// The end that workers watch, and the one that only the supervisor holds.
    watched: OwnedFd,
    held: OwnedFd,
}

impl Nursery {
    pub fn new(scoreboard: Scoreboard) -> io::Result<Nursery> {
        Ok(Nursery::inherit(scoreboard, pipe()?))
    }

    /// With the ends of the lifeline that there are workers on already.
    pub fn inherit(scoreboard: Scoreboard, (watched, held): (OwnedFd, OwnedFd)) -> Nursery {
        Nursery {
            scoreboard: Rc::new(scoreboard),
            watched,
            held,
        }
    }

    pub fn lifeline(&self) -> (BorrowedFd<'_>, BorrowedFd<'_>) {
        (self.watched.as_fd(), self.held.as_fd())
    }

    /// Forks the compiler.
    pub fn compiler<R: Roles>(&self, roles: Rc<R>, number: u32) -> io::Result<Compiler<R>> {
        let (receiver, reporter) = channel()?;
        let kept = [reporter.descriptor()];
        let pid = fork_child(&kept, || {
            process::die_with_parent();
            // It has no handlers: a signal ends it, as it should.
            let _ = signals::unblock_for_compiler();
            roles.prepare(&reporter)
        })?;
        Ok(Compiler {
            number,
            roles,
            pid,
            receiver,
            made: None,
            failed: None,
        })
    }

    /// Forks a worker into a free slot.
    pub fn worker<R: Roles>(
        &self,
        id: Id,
        generation: &Generation<R>,
        max_requests: Option<u64>,
    ) -> io::Result<Child> {
        let slots = self.scoreboard.slots();
        let free = slots.iter().position(|slot| slot.phase() == Phase::Free);
        let slot = free.ok_or_else(|| io::Error::other("every slot of the scoreboard is taken"))?;
        let (receiver, reporter) = channel()?;
        let seat = Seat {
            slot,
            code: generation.code.try_clone()?,
            note: generation.note.clone(),
            reporter: Rc::new(reporter),
            lifeline: self.watched.try_clone()?,
            scoreboard: self.scoreboard.clone(),
            max_requests,
        };
        let sockets = generation.roles.sockets();
        let mut kept: Vec<RawFd> = sockets.into_iter().map(|(fd, _)| fd).collect();
        kept.extend([
            seat.code.as_raw_fd(),
            seat.reporter.descriptor(),
            seat.lifeline.as_raw_fd(),
        ]);
        slots[slot].begin(generation.number, clock::now_ms());
        let forked = fork_child(&kept, || {
            signals::ignore_reopening();
            generation.roles.serve(seat)
        });
        match &forked {
            Ok(pid) => slots[slot].belongs_to(pid.as_raw()),
            Err(_) => slots[slot].enter(Phase::Free),
        }
        Ok(Child {
            id,
            pid: forked?,
            slot,
            receiver,
        })
    }
}

/// Forks a child that keeps these descriptors, and those that it logs to, and no others: above all not
/// the one whose end tells workers that the supervisor is gone.
pub fn fork_child(kept: &[RawFd], child: impl FnOnce() -> Status) -> io::Result<Pid> {
    let kept: Vec<RawFd> = kept.iter().copied().chain(log::descriptors()).collect();
    debug_assert_eq!(fork::thread_count(), Some(1));
    // SAFETY: the supervisor never starts a thread.
    unsafe {
        fork::fork(|| {
            // SAFETY: the child ends without using or dropping what the supervisor owned.
            fork::close_all_but(&kept);
            child().code()
        })
    }
}

/// More messages than any child of ours sends at a time: one that sends without end does not keep
/// the supervisor from its work.
const MESSAGES: usize = 16;

/// The messages that are there.
pub fn messages(receiver: &Receiver) -> impl Iterator<Item = Message> + '_ {
    std::iter::from_fn(|| receiver.receive()).take(MESSAGES)
}
