//! A canary is a new version beside the old one: it has workers of its own, both are compared, and what comes of it is
//! decided.

mod compare;
mod decide;
#[cfg(test)]
mod tests;

use super::Id;
use crate::scoreboard::{Answers, CanaryFigures, STEPS, VersionFigures};
use crate::supervisor::settings::{CanarySettings, WithoutTraffic};
use compare::{Certainty, Finding, compare, share};
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};

/// A canary that was asked for without saying a share has this one.
const SHARE: f64 = 0.1;

/// New workers are slow at first: for this part of the time, and no longer than this, times are not compared.
const WARMING: u32 = 10;
const LONGEST_WARMING: Duration = Duration::from_secs(5);

/// This many workers of the new version have to die before that is compared with the deaths of the old one.
const DEATHS: u32 = 3;

/// `Canary` is all that is known of one.
#[derive(Debug)]
pub struct Canary {
    generation: u32,
    /// The canary's workers have these indices, which are behind all that other workers can have.
    indices: Range<usize>,
    /// They are this share of all workers.
    share: f64,
    settings: CanarySettings,
    stage: Stage,
    /// The canary is to be promoted as soon as one of its workers is ready.
    hurries: bool,
    old: Observations,
    new: Observations,
    /// Each worker had answered this when it was looked at last.
    known: BTreeMap<Id, Answers>,
    /// Workers from this one on were forked after it began: all that they have answered counts.
    first: Id,
    /// The new version has begun this many requests and not answered them yet.
    in_flight: u32,
}

/// `Stage` is how far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// None of the canary's workers has been ready yet.
    Starting,
    Warming {
        since: Instant,
    },
    Comparing {
        since: Instant,
    },
    /// The canary's time is over, and too few requests have come.
    Waiting {
        since: Instant,
    },
}

/// `Observations` are what was seen of one version.
#[derive(Debug, Default)]
struct Observations {
    answers: Answers,
    deaths: u32,
}

/// A `CanaryDecision` says what is to be done about the canary.
#[derive(Debug, PartialEq, Eq)]
enum CanaryDecision {
    GoOn,
    /// There is nothing to compare by, which is said once.
    Wait,
    /// The new version is to be given to all workers, for this reason.
    Promote(String),
    /// The new version is to be given up, for this reason.
    RollBack(String),
}

/// Says how many workers make this share of all, where they come to these.
fn workers(share: f64, others: usize) -> usize {
    // What is a whole number but for the rounding of fractions is one.
    let count = (share * others as f64 / (1.0 - share) - 1e-9).ceil() as usize;
    count.clamp(1, others.max(1))
}

impl Canary {
    /// Has as many workers as make the share beside this many others.
    fn resize(&mut self, others: usize) {
        self.indices.end = self.indices.start + workers(self.share, others);
    }

    fn since(&self) -> Option<Instant> {
        match self.stage {
            Stage::Starting => None,
            Stage::Warming { since } | Stage::Comparing { since } | Stage::Waiting { since } => {
                Some(since)
            }
        }
    }

    /// Notes what workers have answered since they were looked at last. Those of the old version had answered before
    /// the canary began.
    fn see(&mut self, id: Id, generation: u32, answers: &Answers) {
        let is_new = generation == self.generation;
        let before = self.known.insert(id, answers.clone());
        let before = match is_new || id >= self.first {
            true => before.unwrap_or_default(),
            false => before.unwrap_or_else(|| answers.clone()),
        };
        let seen = if is_new { &mut self.new } else { &mut self.old };
        seen.answers.add(&answers.since(&before));
    }

    fn verdict(&mut self, now: Instant) -> CanaryDecision {
        let Some(since) = self.since() else {
            return CanaryDecision::GoOn;
        };
        let (elapsed, time) = (now.saturating_duration_since(since), self.settings.time);
        let warming = (time / WARMING).min(LONGEST_WARMING);
        if matches!(self.stage, Stage::Warming { .. }) && elapsed >= warming {
            self.stage = Stage::Comparing { since };
            self.old.answers.times = [0; STEPS];
            self.new.answers.times = [0; STEPS];
        }
        let certainty = match elapsed >= time {
            true => Certainty::Last,
            false => Certainty::Early,
        };
        match compare(
            &self.old.answers,
            &self.new.answers,
            &self.settings,
            certainty,
        ) {
            Finding::Worse(why) => CanaryDecision::RollBack(why),
            _ if certainty == Certainty::Early => CanaryDecision::GoOn,
            Finding::NotWorse => CanaryDecision::Promote(self.compared()),
            Finding::TooFew => self.without_traffic(since),
        }
    }

    fn without_traffic(&mut self, since: Instant) -> CanaryDecision {
        // Who answers nothing has answered few, too.
        if self.new.answers.count == 0 && self.old.answers.count > 0 && self.in_flight > 0 {
            let (begun, old) = (self.in_flight, self.old.answers.count);
            return CanaryDecision::RollBack(format!(
                "it has answered none of the {begun} requests that it has begun, the old version {old}"
            ));
        }
        let why = format!(
            "too few requests have come to judge it: {}",
            self.compared()
        );
        match self.settings.without_traffic {
            WithoutTraffic::Promote => CanaryDecision::Promote(why),
            WithoutTraffic::RollBack => CanaryDecision::RollBack(why),
            WithoutTraffic::Wait if matches!(self.stage, Stage::Waiting { .. }) => {
                CanaryDecision::GoOn
            }
            WithoutTraffic::Wait => {
                self.stage = Stage::Waiting { since };
                CanaryDecision::Wait
            }
        }
    }

    /// Says what was seen of both.
    fn compared(&self) -> String {
        let (new, old) = (share(&self.new.answers), share(&self.old.answers));
        format!("it has failed {new}, the old version {old}")
    }

    fn figures(&self, now: Instant) -> CanaryFigures {
        let since = self.since().unwrap_or(now);
        let elapsed = now.saturating_duration_since(since);
        let of = |seen: &Observations| VersionFigures {
            requests: seen.answers.count,
            failed: seen.answers.failed,
            p99_us: seen.answers.quantile(0.99).unwrap_or_default() as u64,
        };
        CanaryFigures {
            generation: self.generation,
            workers: self.indices.len() as u32,
            is_waiting: matches!(self.stage, Stage::Waiting { .. }),
            elapsed_ms: elapsed.as_millis() as u64,
            time_ms: self.settings.time.as_millis() as u64,
            old: of(&self.old),
            new: of(&self.new),
        }
    }

    /// Notes that a worker has died. Says whether that speaks against the new version.
    fn note_death(&mut self, generation: u32, others: usize) -> bool {
        let is_new = generation == self.generation;
        let seen = if is_new { &mut self.new } else { &mut self.old };
        seen.deaths += 1;
        let (new, old) = (self.new.deaths as usize, self.old.deaths as usize);
        let oftener = new * others > 2 * old * self.indices.len();
        is_new && (old == 0 || self.new.deaths >= DEATHS && oftener)
    }
}
