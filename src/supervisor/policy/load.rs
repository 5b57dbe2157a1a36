//! This file decides how many workers the load takes, where the operator has set bounds for their number and not the
//! number itself.
//!
//! One more comes where workers have been busy, or requests have waited for a worker's instances, for a while; as many
//! more as would bring them back to what is comfortable. One fewer comes where one fewer would have had little to do
//! for long. What is too much and what is too little are so far apart that the answer to one is never the other.

use super::{HealthReading, Policy, ServerMode};
use std::fmt::{self, Display, Formatter};
use std::time::{Duration, Instant};

/// A `WorkerLoad` is what a worker has to do.
#[derive(Clone, Copy, Debug, Default)]
pub struct WorkerLoad {
    /// The serving thread was running for this share of the time lately, from nought to one.
    pub busy: f64,
    /// This many requests wait for their turn.
    pub waiting: u32,
    /// This many requests have begun or wait.
    pub in_flight: u32,
}

/// There are too few workers from this busy share on, on average.
const HIGH: f64 = 0.75;

/// Where there are too few, this busy share is aimed at.
const COMFORTABLE: f64 = 0.6;

/// There are too many where one fewer would have had a busy share below this.
const LOW: f64 = 0.5;

/// A worker that answers as many requests as it may at a time counts as this busy, whatever its thread does: requests
/// that wait for something else take nothing from each other, so that it may be fuller than a busy one.
const FULL: f64 = 0.8;

/// There must be too few for this long before there are more.
const HIGH_FOR: Duration = Duration::from_secs(2);

/// One worker fewer and the next are this far apart.
const PACE: Duration = Duration::from_secs(5);

/// A `Trend` says where the load is going.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trend {
    #[default]
    Steady,
    /// There are too few workers since then.
    TooFew { since: Instant },
    /// There are too many, and there will be one fewer then.
    TooMany { until: Instant },
}

/// A `TotalLoad` is what all workers that serve have to do.
struct TotalLoad {
    workers: usize,
    busy: f64,
    waiting: u64,
}

impl TotalLoad {
    fn share(&self) -> f64 {
        self.busy / self.workers as f64
    }

    fn is_high(&self) -> bool {
        self.share() >= HIGH || self.waiting > 0
    }

    fn is_low(&self) -> bool {
        self.waiting == 0 && self.workers > 1 && self.busy < LOW * (self.workers - 1) as f64
    }

    /// Says how many workers would be comfortable with it; more than there are.
    fn comfortable(&self) -> usize {
        let enough = (self.busy / COMFORTABLE).ceil() as usize;
        enough.max(self.workers + 1)
    }
}

impl Display for TotalLoad {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            ": they are busy for {:.0} % of the time",
            self.share() * 100.0
        )?;
        match self.waiting {
            0 => Ok(()),
            1 => f.write_str(", and 1 request waits"),
            waiting => write!(f, ", and {waiting} requests wait"),
        }
    }
}

impl WorkerLoad {
    /// Says which share of a worker is taken: of the time of its serving thread, or of the requests that it answers at
    /// a time, where it has fewer of these left.
    fn taken(&self, concurrency: usize) -> f64 {
        let answered = self.in_flight.saturating_sub(self.waiting);
        let requests = f64::from(answered) / concurrency.max(1) as f64;
        self.busy.max(requests * FULL).clamp(0.0, 1.0)
    }
}

impl Policy {
    /// Changes the number of workers where what they have to do takes more of them, or fewer, and nothing else is being
    /// changed: while workers start, it is not known yet what they will change.
    pub(super) fn follow_load(&mut self, readings: &[HealthReading], now: Instant) {
        if self.bounds.is_fixed()
            || self.mode != ServerMode::Serving
            || self.reload.proven().is_some()
        {
            return;
        }
        let Some(load) = self.total_load(readings) else {
            return;
        };
        let (least, most) = (self.bounds.least(), self.bounds.most());
        self.trend = match self.trend {
            Trend::TooFew { since } if load.is_high() => {
                if now.saturating_duration_since(since) < HIGH_FOR {
                    return;
                }
                self.scale(load.comfortable().min(most), &load.to_string());
                Trend::Steady
            }
            Trend::TooMany { until } if load.is_low() => {
                if now < until {
                    return;
                }
                self.scale(self.wanted - 1, &load.to_string());
                let until = now + PACE.min(self.settings.scale_down);
                match self.wanted > least {
                    true => Trend::TooMany { until },
                    false => Trend::Steady,
                }
            }
            _ if load.is_high() && self.wanted < most => Trend::TooFew { since: now },
            _ if load.is_low() && self.wanted > least => Trend::TooMany {
                until: now + self.settings.scale_down,
            },
            _ => Trend::Steady,
        };
    }

    /// Adds up the load; none where not as many workers serve as there should be.
    fn total_load(&self, readings: &[HealthReading]) -> Option<TotalLoad> {
        let serves = |id| self.workers.get(id).is_some_and(super::Worker::is_ready);
        let loads: Vec<WorkerLoad> = readings
            .iter()
            .filter(|reading| serves(&reading.id))
            .map(|reading| reading.load)
            .collect();
        let taken = |load: &WorkerLoad| load.taken(self.settings.concurrency);
        (loads.len() == self.wanted).then(|| TotalLoad {
            workers: self.wanted,
            busy: loads.iter().map(taken).sum(),
            waiting: loads.iter().map(|load| u64::from(load.waiting)).sum(),
        })
    }
}
