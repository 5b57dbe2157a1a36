//! The child processes: how they are forked, and what is kept of each.

use super::policy::Id;
use super::zygote::{Code, Kin, Zygote};
use super::{Roles, Seat};
use crate::channel::{Message, Receiver, Reporter, channel};
use crate::exit::Status;
use crate::scoreboard::{Phase, Scoreboard};
use crate::sys::channel::pipe;
use crate::sys::{clock, fork, signals};
use crate::{debug, log};
use anyhow::Result;
use nix::unistd::Pid;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::rc::Rc;

/// A version of the application: what to do, and the code to do it with.
pub struct Generation<R> {
    pub number: u32,
    pub roles: Rc<R>,
    pub code: Code,
    /// What its workers are forked from. Where there is none, this process forks them, and each loads the code.
    pub zygote: Option<Zygote>,
}

/// A version that is being compiled and loaded.
pub struct Attempt<R> {
    pub number: u32,
    pub roles: Rc<R>,
    pub zygote: Zygote,
    /// It is compiled.
    pub compiled: bool,
}

/// A worker process.
pub struct Child {
    pub id: Id,
    pub pid: Pid,
    pub slot: usize,
    pub receiver: Receiver,
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

    /// Forks what loads this code of a version; where there is none yet, its compiler.
    pub fn zygote<R: Roles>(&self, roles: &R, code: Option<Code>) -> io::Result<Zygote> {
        let kin = Kin {
            lifeline: self.watched.try_clone()?,
            scoreboard: self.scoreboard.clone(),
        };
        Zygote::start(roles, kin, code)
    }

    /// Another in the place of one that is of no more use. Until it is ready, workers are forked directly.
    pub fn renew_zygote<R: Roles>(&self, generation: &mut Generation<R>) {
        generation.zygote = None;
        let code = generation.code.try_clone();
        let again = code.and_then(|code| self.zygote(&*generation.roles, Some(code)));
        generation.zygote = again.ok();
    }

    /// Forks a worker into a free slot.
    pub fn worker<R: Roles>(
        &self,
        id: Id,
        generation: &mut Generation<R>,
        max_requests: Option<u64>,
    ) -> io::Result<Child> {
        let slots = self.scoreboard.slots();
        let free = slots.iter().position(|slot| slot.phase() == Phase::Free);
        let slot = free.ok_or_else(|| io::Error::other("every slot of the scoreboard is taken"))?;
        let (receiver, reporter) = channel()?;
        slots[slot].begin(generation.number, clock::now_ms());
        let zygote = generation.zygote.as_ref().filter(|it| it.is_ready());
        let of_zygote = zygote.map(|it| it.worker(slot, max_requests, &reporter));
        let forked = match of_zygote {
            Some(Ok(pid)) => Ok(pid),
            Some(Err(error)) => {
                debug!("the zygote forks no worker, and another takes its place: {error}");
                self.renew_zygote(generation);
                self.directly(generation, slot, max_requests, reporter)
            }
            None => self.directly(generation, slot, max_requests, reporter),
        };
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

    fn directly<R: Roles>(
        &self,
        generation: &Generation<R>,
        slot: usize,
        max_requests: Option<u64>,
        reporter: Reporter,
    ) -> io::Result<Pid> {
        let seat = Seat {
            slot,
            reporter: Rc::new(reporter),
            lifeline: self.watched.try_clone()?,
            scoreboard: self.scoreboard.clone(),
            max_requests,
        };
        let sockets = generation.roles.sockets();
        let mut kept: Vec<RawFd> = sockets.into_iter().map(|(fd, _)| fd).collect();
        kept.extend([
            generation.code.file.as_raw_fd(),
            seat.reporter.descriptor(),
            seat.lifeline.as_raw_fd(),
        ]);
        fork_child(&kept, || {
            signals::ignore_reopening();
            let Code { file, note } = &generation.code;
            let loaded = generation.roles.load(file, note);
            serve(&*generation.roles, loaded, seat)
        })
    }
}

/// A worker's life.
pub fn serve<R: Roles>(roles: &R, loaded: Result<R::Loaded>, seat: Seat) -> Status {
    let reporter = seat.reporter.clone();
    let served = loaded.and_then(|loaded| roles.serve(loaded, seat));
    ended(served, &reporter)
}

/// Tells why a child cannot go on, where that is so.
pub fn ended(result: Result<()>, reporter: &Reporter) -> Status {
    match result {
        Ok(()) => Status::Stopped,
        Err(error) => {
            reporter.failed(Status::Application, &format!("{error:#}"));
            Status::Application
        }
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
