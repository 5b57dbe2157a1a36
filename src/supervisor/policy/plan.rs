//! Who is forked and who has to leave, so that there are as many workers as there should be, of the
//! version that there should be, and never fewer than before by our own doing.

use super::{Action, Id, Policy, Reason, State, Worker};
use crate::log::Level;
use std::time::{Duration, Instant};

const DRAIN_SLACK: Duration = Duration::from_millis(250);

impl Policy {
    /// Brings the workers one step closer to what is wanted.
    pub(super) fn plan(&mut self, now: Instant) {
        if !self.mode.is_serving() || self.reload.has_no_code() {
            return;
        }
        self.seats
            .resize_with(self.wanted.max(self.seats.len()), Default::default);
        self.promote_due();
        self.fork_missing(now);
        self.dismiss_replaced(now);
    }

    /// How many workers are replaced at a time: one, unless there are more than eight.
    fn surge(&self) -> usize {
        (self.wanted / 8).max(1)
    }

    /// A worker may be replaced because it is due only while few others are.
    fn promote_due(&mut self) {
        let stale = |worker: &&Worker| matches!(worker.state, State::Stale { .. });
        let mut room = self
            .surge()
            .saturating_sub(self.workers.values().filter(stale).count());
        if self.workers.values().any(Worker::is_starting) {
            room = 0;
        }
        let mut texts = Vec::new();
        for worker in self.workers.values_mut().filter(|worker| worker.is_ready()) {
            let urgent = matches!(worker.due, Some(Reason::Hung(..)));
            if room == 0 && !urgent {
                continue;
            }
            if let (Some(reason), State::Ready { since }) = (worker.due.take(), &worker.state) {
                texts.push(format!(
                    "Replacing child process [{}]: {reason}",
                    worker.pid
                ));
                worker.state = State::Stale {
                    since: *since,
                    reason,
                };
                room = room.saturating_sub(1);
            }
        }
        for text in texts {
            self.log(Level::Info, text);
        }
    }

    /// The worker that holds a seat, or is about to.
    fn holder(&self, seat: usize) -> Option<&Worker> {
        let generation = self.reload.wanted_generation();
        self.workers.values().find(|worker| {
            worker.seat == seat
                && worker.generation == generation
                && (worker.is_ready() || worker.is_starting())
        })
    }

    fn fork_missing(&mut self, now: Instant) {
        for seat in 0..self.wanted {
            if self.holder(seat).is_some() || self.seats[seat].waits_until(now).is_some() {
                continue;
            }
            // Where another still serves at this seat there is no hurry.
            let replaces = self
                .workers
                .values()
                .any(|worker| worker.seat == seat && worker.serves());
            let starting = self
                .workers
                .values()
                .filter(|worker| worker.is_starting())
                .count();
            if replaces && starting >= self.surge() {
                continue;
            }
            self.fork(seat, now);
        }
    }

    fn fork(&mut self, seat: usize, now: Instant) {
        let id = Id(self.next_id);
        self.next_id += 1;
        let generation = self.reload.wanted_generation();
        self.workers.insert(
            id,
            Worker {
                pid: 0,
                seat,
                generation,
                state: State::Starting { since: now },
                due: None,
                last_words: None,
            },
        );
        self.actions.push(Action::Fork { id, generation });
    }

    /// Workers whose seat is held by a ready one of the wanted version, or is wanted no more.
    fn dismiss_replaced(&mut self, now: Instant) {
        let held: Vec<bool> = (0..self.seats.len())
            .map(|seat| self.holder(seat).is_some_and(Worker::is_ready))
            .collect();
        let generation = self.reload.wanted_generation();
        let leaving: Vec<(Id, Reason)> = self
            .workers
            .iter()
            .filter_map(|(id, worker)| {
                let unwanted = worker.seat >= self.wanted;
                let reason = match &worker.state {
                    State::Stale { reason, .. } if unwanted || held[worker.seat] => reason.clone(),
                    State::Ready { .. } | State::Starting { .. } if unwanted => Reason::ScaleDown,
                    State::Ready { .. } if worker.generation != generation && held[worker.seat] => {
                        Reason::Reload
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

    /// Has a worker leave: when it is done, or at once where it would not listen.
    pub(super) fn dismiss(&mut self, id: Id, reason: Reason, retiring: bool, now: Instant) {
        // The worker counts its own time too, and ends by itself first.
        let deadline = now + self.settings.graceful_shutdown + DRAIN_SLACK;
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        let deaf = worker.is_starting() || matches!(reason, Reason::Hung(..));
        if deaf {
            worker.state = State::Killed { reason };
            self.actions.push(Action::Kill { id });
        } else {
            worker.state = State::Leaving { deadline, reason };
            self.actions.push(Action::Drain { id, retiring });
        }
    }
}
