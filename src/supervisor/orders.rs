//! An order is for a worker that a zygote was asked for and that has not said yet which process it is. A worker that
//! nobody hears of is replaced, and its slot stays taken until it is certain that nobody has it.

use super::Roles;
use super::forker::NewWorker;
use super::policy::{Death, Event, Id};
use super::run::Supervisor;
use super::slots::ReservedSlot;
use crate::channel::{Message, Receiver};
use crate::debug;
use crate::sys::process::{self, End};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::time::{Duration, Instant};

/// A zygote may take so long to fork a worker.
const PATIENCE: Duration = Duration::from_secs(5);

/// An `Order` is for a worker that a zygote was asked for.
pub struct Order {
    id: Id,
    generation: u32,
    slot: ReservedSlot,
    pub receiver: Receiver,
    max_requests: Option<u64>,
    pub deadline: Instant,
}

/// Nobody waits for an `Abandoned` worker any more. There may be a process, which still has the slot.
pub struct Abandoned {
    _slot: ReservedSlot,
    pub receiver: Receiver,
}

/// An `Outcome` says what became of an order.
enum Outcome {
    Open,
    Forked(Pid),
    Failed(String),
}

impl<R: Roles> Supervisor<R> {
    /// Asks the zygote of a version for a worker. Gives the berth back where it cannot be asked.
    pub(super) fn order(
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
        if let Err(error) = zygote.order(&new_worker, &self.forker.scoreboard) {
            debug!("the zygote cannot be asked for a worker: {error}");
            return Err(new_worker);
        }
        let deadline = self.now() + PATIENCE;
        self.orders.push(Order {
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
    pub(super) fn read_orders(&mut self) {
        for order in std::mem::take(&mut self.orders) {
            match self.outcome(&order) {
                Outcome::Open => self.orders.push(order),
                Outcome::Failed(why) => self.replace_order(order, &why),
                Outcome::Forked(pid) => {
                    let (id, slot, receiver) = (order.id, order.slot, order.receiver);
                    self.policy.forked(id, pid.as_raw());
                    let child = self.forker.child(id, pid, slot, receiver);
                    self.children.push(child);
                }
            }
        }
        self.look_after_abandoned();
    }

    fn outcome(&mut self, order: &Order) -> Outcome {
        match order.receiver.receive() {
            Some(Ok(Message::Forked { pid })) => match self.unknown_child(pid) {
                Some(pid) => Outcome::Forked(pid),
                None => Outcome::Failed(format!("it named the process {pid}")),
            },
            Some(Ok(Message::Failed { text, .. })) => Outcome::Failed(text),
            Some(_) => Outcome::Failed("it sent what no zygote sends".to_owned()),
            None if order.receiver.has_ended() => Outcome::Failed("it ended".to_owned()),
            None if order.deadline <= self.now() => Outcome::Failed("it did not answer".to_owned()),
            None => Outcome::Open,
        }
    }

    /// The process, if it is a child of ours and nobody that is known already.
    fn unknown_child(&self, pid: i32) -> Option<Pid> {
        let pid = Pid::from_raw(pid);
        let known = self.children.iter().any(|child| child.pid == pid)
            || self.successor.as_ref().is_some_and(|it| it.pid == pid)
            || self.admin.pid() == Some(pid)
            || self.log_writer.is(pid)
            || self.forker.is_helper(pid);
        (!known && process::is_child(pid)).then_some(pid)
    }

    /// The zygote is of no more use, and its worker is forked directly.
    fn replace_order(&mut self, order: Order, why: &str) {
        debug!("the zygote forks no worker, and another takes its place: {why}");
        let mut generations = self.generations.iter_mut();
        let generation = generations.find(|generation| generation.number == order.generation);
        if let Some(generation) = generation {
            self.forker.renew_zygote(generation);
        }
        let (id, number, most) = (order.id, order.generation, order.max_requests);
        self.abandon(order);
        let new_worker = self.forker.new_worker(number, most).map_err(Into::into);
        if let Err(error) =
            new_worker.and_then(|new_worker| self.fork_directly(id, number, new_worker))
        {
            self.fork_failed(id, &error);
        }
    }

    /// The worker is not wanted any more, whether there is a process or not. False where it was not ordered.
    pub(super) fn cancel_order(&mut self, id: Id) -> bool {
        let Some(place) = self.orders.iter().position(|order| order.id == id) else {
            return false;
        };
        let order = self.orders.swap_remove(place);
        self.abandon(order);
        let (end, memory) = (End::Killed(Signal::SIGKILL), false);
        let death = Death { end, memory };
        self.events.push_back(Event::Ended { id, death });
        true
    }

    fn abandon(&mut self, order: Order) {
        self.abandoned.push(Abandoned {
            _slot: order.slot,
            receiver: order.receiver,
        });
    }

    /// Kills whoever turns up late, and frees the slots that nobody can have any more.
    fn look_after_abandoned(&mut self) {
        for late in &self.abandoned {
            if let Some(Ok(Message::Forked { pid })) = late.receiver.receive()
                && let Some(pid) = self.unknown_child(pid)
            {
                process::signal(pid, Signal::SIGKILL);
            }
        }
        self.abandoned.retain(|late| !late.receiver.is_hung_up());
    }
}
