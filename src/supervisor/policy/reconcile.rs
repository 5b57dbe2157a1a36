//! This file decides who is forked and who has to leave, so that there are as many workers as there should be, of the
//! version that there should be, and never fewer than before by our own doing.

use super::{Action, Id, Policy, Reason, ServerMode, Trend, Worker, WorkerRange, WorkerState};
use crate::log::Level;
use std::time::{Duration, Instant};

/// A worker counts its own time to drain too, and ends by itself first.
const DRAIN_SLACK: Duration = Duration::from_millis(250);

/// Where nobody serves at all, somebody tries this long after the last death.
const DESERTED: Duration = Duration::from_secs(1);

impl Policy {
    /// Brings the workers one step closer to what is wanted.
    pub(super) fn reconcile(&mut self, now: Instant) {
        if !self.mode.serves() || self.reload.has_no_code() {
            return;
        }
        let indices = self.wanted.max(self.canary_indices().end);
        let indices = indices.max(self.backoffs.len());
        self.backoffs.resize_with(indices, Default::default);
        self.promote_due();
        self.fork_missing(now);
        self.dismiss_replaced(now);
        let ready = self.workers.values().filter(|worker| worker.is_ready());
        if self.mode == ServerMode::Booting && ready.count() >= self.wanted {
            self.mode = ServerMode::Serving;
            self.actions.push(Action::Announce);
        }
    }

    /// Says how many workers are replaced at a time: one, unless there are more than eight.
    fn surge(&self) -> usize {
        (self.wanted / 8).max(1)
    }

    fn starting(&self) -> usize {
        let workers = self.workers.values();
        workers.filter(|worker| worker.is_starting()).count()
    }

    /// A worker may be replaced because it is due only while few others are; one that hangs is
    /// replaced whatever else is going on.
    fn promote_due(&mut self) {
        let leaving = self.workers.values().filter(|w| w.is_being_recycled());
        let mut room = self.surge().saturating_sub(leaving.count());
        if self.starting() > 0 {
            room = 0;
        }
        for worker in self.workers.values_mut() {
            let WorkerState::Ready { since } = worker.state else {
                continue;
            };
            let hangs = worker.hangs();
            if room == 0 && !hangs {
                continue;
            }
            if let Some(reason) = worker.due.take() {
                let text = format!("Replacing child process [{}]: {reason}", worker.pid);
                let level = reason.level();
                self.actions.push(Action::Log { level, text });
                worker.state = WorkerState::Stale { since, reason };
                if !hangs {
                    room -= 1;
                }
            }
        }
    }

    /// Says whether the index is held by a worker that stays: ready, and of the version that is wanted.
    fn is_held(&self, index: usize) -> bool {
        let generation = self.generation_at(index);
        self.at(index)
            .any(|worker| worker.is_ready() && worker.generation == generation)
    }

    /// Gives the version that the worker at an index should have: while a canary runs, its own workers alone have the
    /// new one.
    fn generation_at(&self, index: usize) -> u32 {
        match self.reload.proven() {
            Some(proven) if self.canary().is_some() && !self.canary_indices().contains(&index) => {
                proven
            }
            _ => self.reload.wanted_generation(),
        }
    }

    fn is_wanted(&self, index: usize) -> bool {
        index < self.wanted || self.canary_indices().contains(&index)
    }

    pub(super) fn at(&self, index: usize) -> impl Iterator<Item = &Worker> {
        let workers = self.workers.values();
        workers.filter(move |worker| worker.index == index)
    }

    fn fork_missing(&mut self, now: Instant) {
        for index in (0..self.wanted).chain(self.canary_indices()) {
            let starts = self.at(index).any(Worker::is_starting);
            let waits = self.waits_until(index, now);
            if starts || self.is_held(index) || waits.is_some() {
                continue;
            }
            let serves = self.at(index).any(Worker::serves);
            // Where another still serves at this index there is no hurry.
            if serves && self.starting() >= self.surge() {
                continue;
            }
            if self.workers.len() >= self.slots {
                self.make_room(serves, now);
                continue;
            }
            self.fork(index, self.version_for(index, serves), now);
        }
    }

    /// Says when somebody may be forked for an index, where that is not now: where nobody serves or is about to, one is
    /// not left to wait for long.
    pub(super) fn waits_until(&self, index: usize, now: Instant) -> Option<Instant> {
        let until = self.backoffs[index].waits_until(now)?;
        let mut workers = self.workers.values();
        let deserted = !workers.any(|worker| worker.serves() || worker.is_starting());
        let until = match self.last_death {
            Some(death) if deserted => until.min(death + DESERTED),
            _ => until,
        };
        (until > now).then_some(until)
    }

    /// Chooses the version for an index: one that is not proven yet is tried where another goes on serving; an index
    /// that nobody serves gets what is known to work, once somebody else is trying.
    fn version_for(&self, index: usize, serves: bool) -> u32 {
        if self.canary().is_some() {
            return self.generation_at(index);
        }
        let wanted = self.reload.wanted_generation();
        let mut starting = self.workers.values().filter(|worker| worker.is_starting());
        match self.reload.proven() {
            Some(proven) if !serves && starting.any(|worker| worker.generation == wanted) => proven,
            _ => wanted,
        }
    }

    /// Every slot is taken, by workers that take their time to leave. They are only cut short where
    /// nobody serves.
    fn make_room(&mut self, serves: bool, now: Instant) {
        let in_time = !serves && !self.workers.values().any(Worker::is_killed);
        let leaving = self.workers.iter().find_map(|(id, worker)| {
            let WorkerState::Leaving { reason, .. } = &worker.state else {
                return None;
            };
            Some((*id, reason.clone()))
        });
        if let Some((id, reason)) = leaving.filter(|_| in_time) {
            self.kill(id, Reason::Capacity(Box::new(reason)), now);
        }
    }

    fn fork(&mut self, index: usize, generation: u32, now: Instant) {
        let id = Id(self.next_id);
        self.next_id += 1;
        let worker = Worker::new(index, generation, now);
        self.workers.insert(id, worker);
        self.actions.push(Action::Fork { id, generation });
    }

    /// Workers whose index is held by a ready one of the wanted version, or is wanted no more.
    fn dismiss_replaced(&mut self, now: Instant) {
        let leaving: Vec<(Id, Reason)> = self
            .workers
            .iter()
            .filter_map(|(id, worker)| {
                let unwanted = !self.is_wanted(worker.index);
                let held = || self.is_held(worker.index);
                let outdated = worker.generation != self.generation_at(worker.index);
                let reason = match &worker.state {
                    WorkerState::Stale { reason, .. } if unwanted || held() => reason.clone(),
                    // One that starts may serve already, and not have been heard of: it leaves when it is ready.
                    WorkerState::Ready { .. } if unwanted => Reason::ScaleDown,
                    WorkerState::Ready { .. } | WorkerState::Starting { .. }
                        if outdated && held() =>
                    {
                        self.outdated()
                    }
                    _ => return None,
                };
                Some((*id, reason))
            })
            .collect();
        for (id, reason) in leaving {
            self.dismiss(id, reason, true, now);
        }
    }

    /// Says why a worker leaves whose version is not wanted any more, though it was served.
    fn outdated(&self) -> Reason {
        match self.reload.is_reload(self.reload.wanted_generation()) {
            true => Reason::Reload,
            false => Reason::Executable,
        }
    }

    /// Has a worker leave: when it is done, or at once where it would not listen.
    pub(super) fn dismiss(&mut self, id: Id, reason: Reason, retiring: bool, now: Instant) {
        let deadline = now + self.settings.graceful_shutdown + DRAIN_SLACK;
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        if worker.is_starting() || worker.hangs() {
            self.kill(id, reason, now);
        } else {
            worker.state = WorkerState::Leaving { deadline, reason };
            self.actions.push(Action::Drain { id, retiring });
        }
    }

    pub(super) fn kill(&mut self, id: Id, reason: Reason, now: Instant) {
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.state = WorkerState::Killed { since: now, reason };
            self.actions.push(Action::Kill { id });
        }
    }

    /// Changes how many workers there may be, and how many there are to be where that is outside of it.
    pub(super) fn bound(&mut self, bounds: WorkerRange) {
        if self.mode.changes() {
            self.bounds = bounds.moved(0, self.most);
            self.trend = Trend::default();
            self.scale(self.bounds.clamp(self.wanted), "");
        }
    }

    /// Changes how many workers there should be, which is said with a reason. Where there will be fewer, those that
    /// serve take the indices that stay.
    pub(super) fn scale(&mut self, wanted: usize, why: &str) {
        if wanted == self.wanted || !self.mode.changes() {
            return;
        }
        let (before, level) = (self.wanted, Level::Info);
        let text = format!("Changing the number of workers from {before} to {wanted}{why}");
        self.actions.push(Action::Log { level, text });
        self.wanted = wanted;
        self.resize_canary();
        for index in wanted..before {
            let empty = (0..wanted).find(|index| !self.at(*index).any(Worker::serves));
            if let Some(empty) = empty.filter(|_| self.at(index).any(Worker::serves)) {
                self.swap(index, empty);
            }
        }
    }

    fn swap(&mut self, one: usize, other: usize) {
        for worker in self.workers.values_mut() {
            if worker.index == one {
                worker.index = other;
            } else if worker.index == other {
                worker.index = one;
            }
        }
    }
}
