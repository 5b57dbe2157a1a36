//! A worker is pending while a zygote was asked for it and has not said yet which process it is. A worker that
//! nobody hears of is replaced, and its slot stays taken until it is certain that nobody has it.

use super::Roles;
use super::event_loop::Supervisor;
use super::forker::NewWorker;
use super::policy::{Death, Event, Id};
use super::slots::ReservedSlot;
use crate::channel::{ChildMessage, Receiver};
use crate::debug;
use crate::sys::process::{self, End};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::time::{Duration, Instant};

/// A zygote may take this long to fork a worker.
const FORK_TIMEOUT: Duration = Duration::from_secs(5);

/// A `PendingWorker` is one that a zygote was asked for.
pub struct PendingWorker {
    id: Id,
    generation: u32,
    slot: ReservedSlot,
    pub receiver: Receiver,
    max_requests: Option<u64>,
    pub deadline: Instant,
}

/// Nobody waits for an `AbandonedWorker` any more. There may be a process, which still has the slot.
pub struct AbandonedWorker {
    _slot: ReservedSlot,
    pub receiver: Receiver,
}

/// A `ForkOutcome` says what became of a pending worker.
enum ForkOutcome {
    Open,
    Forked(Pid),
    Failed(String),
}

impl<R: Roles> Supervisor<R> {
    /// Asks the zygote of a version for a worker. Gives everything back where the zygote cannot be asked.
    pub(super) fn ask_zygote(
        &mut self,
        id: Id,
        number: u32,
        new_worker: NewWorker,
    ) -> Result<(), NewWorker> {
        let mut generations = self.generations.iter();
        let generation = generations.find(|generation| generation.number == number);
        let zygote = generation.and_then(|generation| generation.zygote.as_ref());
        let Some(zygote) = zygote.filter(|zygote| zygote.is_ready()) else {
            return Err(new_worker);
        };
        if let Err(error) = zygote.ask_for(&new_worker, &self.forker.scoreboard) {
            debug!("the zygote cannot be asked for a worker: {error}");
            return Err(new_worker);
        }
        let deadline = self.now() + FORK_TIMEOUT;
        self.pending_workers.push(PendingWorker {
            id,
            generation: number,
            slot: new_worker.slot,
            receiver: new_worker.receiver,
            max_requests: new_worker.max_requests,
            deadline,
        });
        Ok(())
    }

    /// Takes note of the workers that there are now.
    pub(super) fn read_pending_workers(&mut self) {
        for pending in std::mem::take(&mut self.pending_workers) {
            match self.outcome(&pending) {
                ForkOutcome::Open => self.pending_workers.push(pending),
                ForkOutcome::Failed(why) => self.replace_pending(pending, &why),
                ForkOutcome::Forked(pid) => {
                    let (id, slot, receiver) = (pending.id, pending.slot, pending.receiver);
                    self.policy.forked(id, pid.as_raw());
                    let child = self.forker.child(id, pid, slot, receiver);
                    self.children.push(child);
                }
            }
        }
        self.look_after_abandoned();
    }

    fn outcome(&mut self, pending: &PendingWorker) -> ForkOutcome {
        match pending.receiver.receive() {
            Some(Ok(ChildMessage::Forked { pid })) => match self.unknown_child(pid) {
                Some(pid) => ForkOutcome::Forked(pid),
                None => ForkOutcome::Failed(format!("it named the process {pid}")),
            },
            Some(Ok(ChildMessage::Failed { text, .. })) => ForkOutcome::Failed(text),
            Some(_) => ForkOutcome::Failed("it sent what no zygote sends".to_owned()),
            None if pending.receiver.has_ended() => ForkOutcome::Failed("it ended".to_owned()),
            None if pending.deadline <= self.now() => {
                ForkOutcome::Failed("it did not answer".to_owned())
            }
            None => ForkOutcome::Open,
        }
    }

    /// Finds the process, if it is a child of ours and nobody that is known already.
    fn unknown_child(&self, pid: i32) -> Option<Pid> {
        let pid = Pid::from_raw(pid);
        let known = self.children.iter().any(|child| child.pid == pid)
            || self.successor.as_ref().is_some_and(|it| it.pid == pid)
            || self.admin.pid() == Some(pid)
            || self.log_writer.is(pid)
            || self.forker.is_helper(pid);
        (!known && process::is_child(pid)).then_some(pid)
    }

    /// Gives up a zygote that is of no more use, and forks its worker directly.
    fn replace_pending(&mut self, pending: PendingWorker, why: &str) {
        debug!("the zygote forks no worker, and another takes its place: {why}");
        let mut generations = self.generations.iter_mut();
        let generation = generations.find(|generation| generation.number == pending.generation);
        if let Some(generation) = generation {
            self.forker.renew_zygote(generation);
        }
        let (id, number, most) = (pending.id, pending.generation, pending.max_requests);
        self.abandon(pending);
        let new_worker = self.forker.new_worker(number, most).map_err(Into::into);
        if let Err(error) =
            new_worker.and_then(|new_worker| self.fork_directly(id, number, new_worker))
        {
            self.fork_failed(id, &error);
        }
    }

    /// Gives up a worker that is not wanted any more, whether there is a process or not. False where it was not asked.
    pub(super) fn cancel_pending(&mut self, id: Id) -> bool {
        let Some(place) = self
            .pending_workers
            .iter()
            .position(|pending| pending.id == id)
        else {
            return false;
        };
        let pending = self.pending_workers.swap_remove(place);
        self.abandon(pending);
        let (end, memory) = (End::Killed(Signal::SIGKILL), false);
        let death = Death { end, memory };
        self.events.push_back(Event::Ended { id, death });
        true
    }

    fn abandon(&mut self, pending: PendingWorker) {
        self.abandoned_workers.push(AbandonedWorker {
            _slot: pending.slot,
            receiver: pending.receiver,
        });
    }

    /// Kills whoever turns up late, and frees the slots that nobody can have any more.
    fn look_after_abandoned(&mut self) {
        for late in &self.abandoned_workers {
            if let Some(Ok(ChildMessage::Forked { pid })) = late.receiver.receive()
                && let Some(pid) = self.unknown_child(pid)
            {
                process::signal(pid, Signal::SIGKILL);
            }
        }
        self.abandoned_workers
            .retain(|late| !late.receiver.is_hung_up());
    }
}
