//! This file says what of the state goes over to the executable that replaces this one.

use super::idle::Idle;
use super::load::Trend;
use super::upgrade::Upgrade;
use super::worker::LastBeat;
use super::{Capacity, Id, Policy, Reason, Reload, ServerMode, Worker, WorkerState};
use crate::channel::WorkerRange;
use crate::log::Level;
use crate::supervisor::policy::Action;
use crate::supervisor::settings::Settings;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// An `InheritedState` says where an inherited worker stands, in times that mean the same in another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum InheritedState {
    Starting {
        age: Duration,
    },
    /// The worker serves.
    Ready {
        age: Duration,
    },
    /// The worker has been told to leave, and has this much time left.
    Leaving {
        left: Duration,
    },
}

/// The executable before this one forked an `Inherited` worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inherited {
    pub id: Id,
    pub pid: i32,
    #[serde(rename = "seat")]
    pub index: usize,
    pub generation: u32,
    pub state: InheritedState,
}

impl Policy {
    /// Gives the version that is served, how many workers there should be, and all that there are.
    pub fn handover(&self, now: Instant) -> (u32, usize, Vec<Inherited>) {
        let workers = self.workers.iter().map(|(id, worker)| Inherited {
            id: *id,
            pid: worker.pid,
            index: worker.index,
            generation: worker.generation,
            state: worker.state(now),
        });
        let served = self.reload.proven();
        let served = served.unwrap_or(self.reload.wanted_generation());
        (served, self.wanted, workers.collect())
    }

    /// Makes the state of an executable that takes over, and the first thing to do: a new version of everything is made
    /// ready, as for a reload.
    pub fn inherit(
        settings: Settings,
        room: Capacity,
        (served, wanted, workers): (u32, usize, Vec<Inherited>),
        now: Instant,
        random: Box<dyn FnMut() -> u64>,
    ) -> (Policy, Vec<Action>) {
        let next_id = workers
            .iter()
            .map(|worker| worker.id.0.saturating_add(1))
            .max();
        let workers: BTreeMap<Id, Worker> = workers
            .iter()
            .map(|worker| (worker.id, worker.arrive(now)))
            .collect();
        let bounds = settings.workers.moved(0, room.most);
        let wanted_of_before = u16::try_from(wanted.min(room.most)).ok();
        let bounds = match wanted_of_before.and_then(|it| WorkerRange::new(it, it)) {
            // What was asked for by signal goes on to count.
            Some(wanted) if bounds.is_fixed() => wanted,
            _ => bounds,
        };
        let mut policy = Policy {
            wanted: bounds.clamp(wanted),
            bounds,
            trend: Trend::default(),
            settings,
            mode: ServerMode::Serving,
            failure: None,
            most: room.most,
            slots: room.slots,
            workers,
            backoffs: Vec::new(),
            last_death: None,
            next_id: next_id.unwrap_or(0),
            reload: Reload::serving(served),
            upgrade: Upgrade::None,
            idle: Idle::default(),
            served: true,
            random,
            actions: Vec::new(),
            incidents: Vec::new(),
        };
        let text = "The executable was replaced: replacing the workers";
        policy.log(Level::Info, text.to_owned());
        policy.compile();
        let actions = std::mem::take(&mut policy.actions);
        (policy, actions)
    }
}

impl Worker {
    fn state(&self, now: Instant) -> InheritedState {
        let age = |since: &Instant| now.saturating_duration_since(*since);
        match &self.state {
            WorkerState::Starting { since } => InheritedState::Starting { age: age(since) },
            WorkerState::Ready { since } | WorkerState::Stale { since, .. } => {
                InheritedState::Ready { age: age(since) }
            }
            WorkerState::Leaving { deadline, .. } => InheritedState::Leaving {
                left: deadline.saturating_duration_since(now),
            },
            WorkerState::Killed { .. } => InheritedState::Leaving {
                left: Duration::ZERO,
            },
        }
    }
}

impl Inherited {
    fn arrive(&self, now: Instant) -> Worker {
        let since = |age: Duration| now.checked_sub(age).unwrap_or(now);
        let state = match self.state {
            InheritedState::Starting { age } => WorkerState::Starting { since: since(age) },
            InheritedState::Ready { age } => WorkerState::Ready { since: since(age) },
            InheritedState::Leaving { left } => WorkerState::Leaving {
                deadline: now.checked_add(left).unwrap_or(now),
                reason: Reason::Inherited,
            },
        };
        Worker {
            pid: self.pid,
            index: self.index,
            generation: self.generation,
            state,
            last_beat: LastBeat::new(now),
            due: None,
            last_words: None,
        }
    }
}
