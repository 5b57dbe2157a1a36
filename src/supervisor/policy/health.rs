//! Whether workers are well.

use super::{Id, Policy, Reason, State};
use std::time::{Duration, Instant};

/// What was read of one worker.
#[derive(Clone, Debug)]
pub struct Vital {
    pub id: Id,
    /// How long its serving loop has given no sign of life.
    pub silent: Duration,
    /// Resident memory in bytes; zero where it is not watched.
    pub resident: u64,
    /// What it was answering last.
    pub answering: String,
}

impl Policy {
    /// Judges every worker. Silence is only counted while the supervisor itself was awake: a machine
    /// that was suspended or starved has no hung workers.
    pub(super) fn beat(&mut self, vitals: &[Vital], now: Instant) {
        let gap = now.saturating_duration_since(self.last_beat);
        self.last_beat = now;
        if gap > self.beat_period() * 3 {
            self.lenient_until = now + self.settings.healthcheck;
        }
        for vital in vitals {
            if let Some(reason) = self.complaint(vital, now) {
                self.due(vital.id, reason);
            }
        }
        self.kill_late_starters(now);
    }

    fn complaint(&self, vital: &Vital, now: Instant) -> Option<Reason> {
        let worker = self.workers.get(&vital.id)?;
        let (State::Ready { since } | State::Stale { since, .. }) = worker.state else {
            return None;
        };
        let settings = &self.settings;
        if vital.silent > settings.healthcheck && now >= self.lenient_until {
            return Some(Reason::Hung(vital.silent, vital.answering.clone()));
        }
        if settings
            .max_worker_rss
            .is_some_and(|limit| vital.resident > limit)
        {
            return Some(Reason::Memory(vital.resident));
        }
        let age = now.saturating_duration_since(since);
        if settings
            .max_worker_lifetime
            .is_some_and(|limit| age > limit)
        {
            return Some(Reason::Age);
        }
        None
    }

    /// Notes that a worker should be replaced when its turn comes. One that hangs while it waits to
    /// be replaced is known to hang.
    pub(super) fn due(&mut self, id: Id, reason: Reason) {
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        match &mut worker.state {
            State::Stale { reason: known, .. } if matches!(reason, Reason::Hung(..)) => {
                *known = reason
            }
            State::Ready { .. } => worker.due = Some(reason),
            _ => {}
        }
    }

    fn kill_late_starters(&mut self, now: Instant) {
        let limit = self.settings.startup;
        let late: Vec<Id> = self
            .workers
            .iter()
            .filter(|(_, worker)| match worker.state {
                State::Starting { since } => now.saturating_duration_since(since) > limit,
                _ => false,
            })
            .map(|(id, _)| *id)
            .collect();
        for id in late {
            if let Some(worker) = self.workers.get_mut(&id) {
                // It ends as one that could not start: its end is counted, and said.
                let why = Reason::Startup(limit).to_string();
                worker
                    .last_words
                    .get_or_insert((crate::exit::Status::Application, why));
            }
            self.actions.push(super::Action::Kill { id });
        }
    }
}
