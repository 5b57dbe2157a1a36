//! The `Forker` forks the children: it says what each is given, and what it must not have.

use super::children::{Child, Generation, WorkerSlot};
use super::code_files::{Code, CodeFiles};
use super::policy::{Id, WorkerLoad};
use super::primer::Primer;
use super::single_task::SingleTask;
use super::slots::{ReservedSlot, Slots};
use super::step::Step;
use super::zygote::{Shared, Zygote, ZygoteTask};
use super::{ChildTask, MountSockets as _, Roles, Sockets, WorkerContext};
use crate::cache::NoRoom;
use crate::cache::seal::Damaged;
use crate::channel::{Receiver, Reporter, channel};
use crate::exit::Status;
use crate::scoreboard::{Answers, PredecessorScoreboard, Scoreboard, WorkerPhase};
use crate::sys::channel::pipe;
use crate::sys::{clock, fork, signals};
use crate::{error, log};
use anyhow::{Context, Result};
use nix::unistd::Pid;
use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::rc::Rc;

/// A `Forker` has what every fork needs.
pub struct Forker {
    pub scoreboard: Rc<Scoreboard>,
    pub slots: Slots,
    /// The scoreboard of the executable before this one is there where it was laid out in another way.
    predecessor: Option<RefCell<PredecessorScoreboard>>,
    /// The lifeline has an end that workers watch, and one that only the supervisor holds.
    watched: OwnedFd,
    held: OwnedFd,
    /// These compilers, steps before the start and zygotes have not been reaped.
    helpers: RefCell<Vec<Pid>>,
    /// A listening socket was bound anew this often.
    sockets: Cell<u32>,
    /// The last compiler found no room in the cache.
    lacks_room: Cell<bool>,
}

/// A `NewWorker` has the slot and the channel that a worker's process is going to have.
pub struct NewWorker {
    pub slot: ReservedSlot,
    pub receiver: Receiver,
    pub reporter: Reporter,
    pub max_requests: Option<u64>,
}

impl Forker {
    pub fn new(scoreboard: Scoreboard) -> io::Result<Forker> {
        Ok(Forker::inherit(scoreboard, pipe()?))
    }

    /// Takes over the ends of the lifeline that there are workers on already.
    pub fn inherit(scoreboard: Scoreboard, (watched, held): (OwnedFd, OwnedFd)) -> Forker {
        let scoreboard = Rc::new(scoreboard);
        log::recent::keep_in(scoreboard.recent_of_supervisor());
        Forker {
            slots: Slots::new(scoreboard.clone()),
            scoreboard,
            predecessor: None,
            watched,
            held,
            helpers: RefCell::default(),
            sockets: Cell::new(0),
            lacks_room: Cell::new(false),
        }
    }

    /// Takes over the scoreboard that workers of the executable before go on writing to, whose totals are carried
    /// over.
    pub fn with_predecessor(mut self, mut predecessor: PredecessorScoreboard) -> Forker {
        let length = predecessor.length();
        predecessor.carry_over_rest(self.scoreboard.carried());
        self.predecessor = Some(RefCell::new(predecessor));
        (0..length).for_each(|index| self.carry_over(index));
        self
    }

    fn carry_over(&self, index: usize) {
        if let Some(predecessor) = &self.predecessor {
            let into = self.scoreboard.carried();
            predecessor.borrow_mut().carry_over(index, into);
        }
    }

    /// Finds the slot of a worker that was left to us.
    pub fn left_slot(&self, index: usize) -> Result<WorkerSlot> {
        let slot = match &self.predecessor {
            Some(predecessor) if index < predecessor.borrow().length() => {
                Some(WorkerSlot::Predecessor(index))
            }
            Some(_) => None,
            None => self.slots.take(index).map(WorkerSlot::Own),
        };
        slot.with_context(|| format!("slot {index} is not free"))
    }

    /// Releases the slot of a worker that is gone. What one of the executable before has counted is kept.
    pub fn release(&self, slot: WorkerSlot) {
        if let WorkerSlot::Predecessor(index) = slot {
            self.carry_over(index);
        }
    }

    /// Reads the last sign of life of the worker that has this slot, and what it asked a guest last.
    pub fn signs_of_life(&self, slot: &WorkerSlot) -> (u64, String) {
        match (slot, &self.predecessor) {
            (WorkerSlot::Predecessor(index), Some(predecessor)) => {
                let predecessor = predecessor.borrow();
                (
                    predecessor.heartbeat_ms(*index),
                    predecessor.answered_last(*index),
                )
            }
            (WorkerSlot::Predecessor(_), None) => (0, String::new()),
            (WorkerSlot::Own(slot), _) => {
                let slot = self.scoreboard.slot(slot.index());
                (slot.heartbeat_ms(), slot.answered_last())
            }
        }
    }

    /// Returns what a worker has to do; nothing where it is of another executable and says so elsewhere.
    pub fn load(&self, slot: &WorkerSlot) -> WorkerLoad {
        let WorkerSlot::Own(slot) = slot else {
            return WorkerLoad::default();
        };
        let slot = self.scoreboard.slot(slot.index());
        WorkerLoad {
            busy: slot.busy(),
            waiting: slot.waiting(),
            in_flight: slot.in_flight(),
        }
    }

    /// Returns what a worker has answered since it was forked; none where it is of another executable.
    pub fn answers(&self, slot: &WorkerSlot) -> Option<Box<Answers>> {
        match slot {
            WorkerSlot::Own(slot) => Some(Box::new(slot.answers())),
            WorkerSlot::Predecessor(_) => None,
        }
    }

    /// Says to its siblings where a worker is in its life.
    pub fn enters(&self, slot: &WorkerSlot, phase: WorkerPhase) {
        if let WorkerSlot::Own(slot) = slot {
            self.scoreboard.entry(slot.index()).enter(phase);
        }
    }

    pub fn lifeline(&self) -> (BorrowedFd<'_>, BorrowedFd<'_>) {
        (self.watched.as_fd(), self.held.as_fd())
    }

    /// Forks a process that pulls the component of a version.
    pub fn puller<R: Roles>(&self, roles: &R) -> io::Result<SingleTask> {
        let puller = SingleTask::start(c"puller", &self.scoreboard, &[], || {
            roles.run(ChildTask::Pull)
        })?;
        self.helpers.borrow_mut().push(puller.pid);
        Ok(puller)
    }

    /// Forks the compiler of a version. Where the one before found no room in the cache, it compiles into memory.
    pub fn compiler<R: Roles>(&self, roles: &R) -> Result<Zygote> {
        let has_room = !self.lacks_room.take();
        let files = CodeFiles::open(&roles.settings().code, has_room)?;
        Ok(self.zygote(roles, ZygoteTask::Compile(files))?)
    }

    /// Forks a zygote that does this for a version.
    pub fn zygote<R: Roles>(&self, roles: &R, work: ZygoteTask) -> io::Result<Zygote> {
        let shared = Shared {
            lifeline: self.watched.try_clone()?,
            scoreboard: self.scoreboard.clone(),
        };
        let zygote = Zygote::start(roles, shared, work, self.sockets.get())?;
        self.helpers.borrow_mut().push(zygote.pid);
        Ok(zygote)
    }

    /// Forks a process that takes the step before the start of which this is the code.
    pub fn step<R: Roles>(&self, roles: &R, index: usize, code: &Code) -> io::Result<Step> {
        let step = Step::start(roles, &self.scoreboard, index, code)?;
        self.helpers.borrow_mut().push(step.process.pid);
        Ok(step)
    }

    /// Forks a process that runs a periodic job, of which this is the code.
    pub fn job<R: Roles>(&self, roles: &R, index: usize, code: &Code) -> io::Result<SingleTask> {
        let run = || roles.run(ChildTask::Job { index, code });
        let kept = [code.file.as_raw_fd()];
        let job = SingleTask::start(c"job", &self.scoreboard, &kept, run)?;
        self.helpers.borrow_mut().push(job.pid);
        Ok(job)
    }

    /// Notes that a compiler found no room in the cache.
    pub fn note_lack_of_room(&self) {
        self.lacks_room.set(true);
    }

    /// Forks a process that primes an instance of this code.
    pub fn primer<R: Roles>(&self, roles: &R, code: &Code) -> io::Result<Primer> {
        let primer = Primer::start(roles, &self.scoreboard, code)?;
        self.helpers.borrow_mut().push(primer.process.pid);
        Ok(primer)
    }

    /// Forks another zygote in the place of one that is of no more use. Until it is ready, workers are forked
    /// directly.
    pub fn renew_zygote<R: Roles>(&self, generation: &mut Generation<R>) {
        generation.zygote = None;
        let code = generation.code.try_clone();
        let again = code.and_then(|code| self.zygote(&*generation.roles, ZygoteTask::Load(code)));
        generation.zygote = again.ok();
    }

    /// Notes that a listening socket was bound anew: who was forked before has the old one.
    pub fn sockets_renewed(&self) {
        self.sockets.set(self.sockets.get() + 1);
    }

    /// Says whether a zygote was forked before a listening socket was bound anew.
    pub fn is_stale(&self, zygote: &Zygote) -> bool {
        zygote.sockets != self.sockets.get()
    }

    /// Says whether a compiler or a zygote is this process.
    pub fn is_helper(&self, pid: Pid) -> bool {
        self.helpers.borrow().contains(&pid)
    }

    /// Notes that a child was reaped, of whatever kind.
    pub fn reaped(&self, pid: Pid) {
        self.helpers.borrow_mut().retain(|helper| *helper != pid);
    }

    /// Says whether every compiler and every zygote is gone, and with them their hold on the listening sockets.
    pub fn is_alone(&self) -> bool {
        self.helpers.borrow().is_empty()
    }

    /// Reserves a free slot for a worker of this version, and makes a channel to it.
    pub fn new_worker(&self, generation: u32, max_requests: Option<u64>) -> io::Result<NewWorker> {
        let slot = self.slots.reserve();
        let slot = slot.ok_or_else(|| io::Error::other("every slot of the scoreboard is taken"))?;
        let (receiver, reporter) = channel()?;
        let now = clock::now_ms();
        self.scoreboard.begin(slot.index(), generation, now);
        Ok(NewWorker {
            slot,
            receiver,
            reporter,
            max_requests,
        })
    }

    /// Forks a worker, which loads the code itself.
    pub fn worker<R: Roles>(
        &self,
        id: Id,
        generation: &Generation<R>,
        new_worker: NewWorker,
    ) -> io::Result<Child> {
        let context = WorkerContext {
            slot: new_worker.slot.index(),
            reporter: Rc::new(new_worker.reporter),
            lifeline: self.watched.try_clone()?,
            scoreboard: self.scoreboard.clone(),
            max_requests: new_worker.max_requests,
        };
        let mut kept = generation.roles.sockets().borrow().descriptors();
        kept.extend(generation.roles.mount_sockets().borrow().files());
        kept.extend(generation.code.descriptors());
        kept.extend([context.reporter.descriptor(), context.lifeline.as_raw_fd()]);
        let (scoreboard, slot) = (&self.scoreboard, context.slot);
        let restrict = || {
            scoreboard.give_up()?;
            scoreboard.keep(slot, scoreboard.descriptor())
        };
        let pid = fork_child(&kept, restrict, || {
            signals::ignore_reopening();
            let loaded = generation.roles.load(&generation.code);
            serve(&*generation.roles, loaded, context)
        })?;
        Ok(self.child(id, pid, new_worker.slot, new_worker.receiver))
    }

    /// Makes what is kept of a worker that is this process.
    pub fn child(&self, id: Id, pid: Pid, slot: ReservedSlot, receiver: Receiver) -> Child {
        let entry = self.scoreboard.entry(slot.index());
        entry.belongs_to(pid.as_raw());
        Child {
            id,
            pid,
            slot: WorkerSlot::Own(slot),
            receiver: Some(receiver),
        }
    }
}

/// Lives a worker's life.
pub fn serve<R: Roles>(roles: &R, loaded: Result<R::Loaded>, context: WorkerContext) -> Status {
    let reporter = context.reporter.clone();
    let served = loaded.and_then(|loaded| roles.serve(loaded, context));
    ended(served, &reporter)
}

/// Says in the log why a child of this role cannot go on, where that is so.
pub fn told(result: Result<()>, role: &str) -> Status {
    match result {
        Ok(()) => Status::Stopped,
        Err(why) => {
            error!("the {role} cannot go on: {why:#}");
            Status::Internal
        }
    }
}

/// Tells why a child cannot go on, where that is so.
pub fn ended(result: Result<()>, reporter: &Reporter) -> Status {
    match result {
        Ok(()) => Status::Stopped,
        Err(error) => {
            let status = match &error {
                error if error.is::<Damaged>() => Status::DamagedCode,
                error if error.is::<NoRoom>() => Status::NoRoom,
                _ => Status::Application,
            };
            reporter.failed(status, &format!("{error:#}"));
            status
        }
    }
}

/// Forks a child that keeps these descriptors, and those that it logs to, and no others: above all not the one whose
/// end tells workers that the supervisor is gone. `restrict` gives up what needs descriptors for that.
pub fn fork_child(
    kept: &[RawFd],
    restrict: impl FnOnce() -> io::Result<()>,
    child: impl FnOnce() -> Status,
) -> io::Result<Pid> {
    // Where no descriptor is left it cannot be known.
    debug_assert!(fork::thread_count().is_none_or(|count| count == 1));
    // SAFETY: the supervisor never starts a thread.
    unsafe {
        fork::fork(|| {
            log::reopen();
            if let Err(error) = restrict() {
                crate::error!("a child cannot give up what it must not have: {error}");
                return Status::Internal.code();
            }
            let kept: Vec<RawFd> = kept.iter().copied().chain(log::descriptors()).collect();
            // SAFETY: the child ends without using or dropping what the supervisor owned.
            fork::close_all_but(&kept);
            child().code()
        })
    }
}
