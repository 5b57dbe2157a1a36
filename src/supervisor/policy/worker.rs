//! A `Worker` is one, as the policy sees it.

use super::Reason;
use crate::exit::Status;
use std::time::{Duration, Instant};

/// An `Id` is a worker's name, never used twice.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct Id(pub u64);

/// A `WorkerState` says where a worker is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkerState {
    Starting {
        since: Instant,
    },
    /// The worker serves.
    Ready {
        since: Instant,
    },
    /// The worker serves, and leaves when its replacement is ready.
    Stale {
        since: Instant,
        reason: Reason,
    },
    /// The worker was told to leave.
    Leaving {
        deadline: Instant,
        reason: Reason,
    },
    /// The worker was killed, and is not reaped yet.
    Killed {
        since: Instant,
        reason: Reason,
    },
}

/// A `LastBeat` is the last sign of life of a serving loop.
#[derive(Clone, Copy, Debug)]
pub struct LastBeat {
    /// The serving loop wrote this, whatever it means.
    beat: u64,
    /// The supervisor saw it first at this time.
    seen: Instant,
}

impl LastBeat {
    pub fn new(now: Instant) -> LastBeat {
        LastBeat { beat: 0, seen: now }
    }

    /// Says how long it has been silent.
    pub fn felt(&mut self, beat: u64, now: Instant) -> Duration {
        if beat != self.beat {
            *self = LastBeat { beat, seen: now };
        }
        now.saturating_duration_since(self.seen)
    }
}

#[derive(Debug)]
pub struct Worker {
    /// The worker is this process; 0 until it is forked.
    pub pid: i32,
    /// The worker is this one of those that there should be.
    pub index: usize,
    pub generation: u32,
    pub state: WorkerState,
    pub last_beat: LastBeat,
    /// The worker should be replaced when its turn comes.
    pub due: Option<Reason>,
    pub last_words: Option<(Status, String)>,
}

impl Worker {
    /// Makes a worker that is to be forked.
    pub fn new(index: usize, generation: u32, now: Instant) -> Worker {
        Worker {
            pid: 0,
            index,
            generation,
            state: WorkerState::Starting { since: now },
            last_beat: LastBeat::new(now),
            due: None,
            last_words: None,
        }
    }

    pub fn is_starting(&self) -> bool {
        matches!(self.state, WorkerState::Starting { .. })
    }

    pub fn is_ready(&self) -> bool {
        matches!(self.state, WorkerState::Ready { .. })
    }

    pub fn is_stale(&self) -> bool {
        matches!(self.state, WorkerState::Stale { .. })
    }

    pub fn is_killed(&self) -> bool {
        matches!(self.state, WorkerState::Killed { .. })
    }

    /// Says whether it takes connections, and answers them.
    pub fn serves(&self) -> bool {
        (self.is_ready() || self.is_stale()) && !self.hangs()
    }

    pub fn hangs(&self) -> bool {
        let reason = match &self.state {
            WorkerState::Stale { reason, .. } => Some(reason),
            _ => self.due.as_ref(),
        };
        matches!(reason, Some(Reason::Hung { .. }))
    }

    /// Says whether it is on its way out because its turn to be replaced has come.
    pub fn is_being_recycled(&self) -> bool {
        match &self.state {
            WorkerState::Stale { reason, .. } | WorkerState::Leaving { reason, .. } => {
                reason.is_recycling()
            }
            _ => false,
        }
    }
}
