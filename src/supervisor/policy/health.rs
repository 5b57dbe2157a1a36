//! This file judges whether workers are well.

use super::{Id, Policy, Reason, WorkerLoad, WorkerState};
use crate::scoreboard::Answers;
use std::time::{Duration, Instant};

/// A `HealthReading` is what was read of one worker.
#[derive(Clone, Debug)]
pub struct HealthReading {
    pub id: Id,
    /// The serving loop wrote this as its last sign of life.
    pub beat: u64,
    /// The worker has this many resident bytes; zero where they are not watched.
    pub resident: u64,
    /// The worker was answering this last.
    pub answering: String,
    /// The worker has this to do.
    pub load: WorkerLoad,
    /// The worker has answered this since it was forked, where that is asked for.
    pub answers: Option<Box<Answers>>,
}

/// A serving loop that is well stamps twice a second: no less counts as silence, whatever was asked
/// for.
const LEAST_SILENCE: Duration = Duration::from_millis(1500);

impl Policy {
    /// Says how often health is to be checked: five times within what counts as silence.
    pub fn beat_period(&self) -> Duration {
        (self.settings.healthcheck / 5).clamp(Duration::from_millis(50), Duration::from_secs(1))
    }

    /// Judges every worker. Time is the supervisor's own (see `Clock`), so that a machine that was
    /// suspended or starved has no hung workers.
    pub(super) fn beat(&mut self, readings: Vec<HealthReading>, now: Instant) {
        self.follow_load(&readings, now);
        self.judge_canary(&readings, now);
        for reading in readings {
            let id = reading.id;
            match self.complaint(reading, now) {
                Some(reason) if self.is_beyond_waiting(id, &reason) => self.kill(id, reason, now),
                Some(reason) => self.complains(id, reason, now),
                None => {}
            }
        }
        self.kill_late_starters(now);
    }

    fn complains(&mut self, id: Id, reason: Reason, now: Instant) {
        let hung = matches!(reason, Reason::Hung { .. });
        self.due(id, reason.clone());
        if hung {
            self.hangs_in_canary(id, &reason, now);
        }
    }

    fn complaint(&mut self, reading: HealthReading, now: Instant) -> Option<Reason> {
        let settings = &self.settings;
        let worker = self.workers.get_mut(&reading.id)?;
        let silent = worker.last_beat.felt(reading.beat, now);
        let since = match worker.state {
            WorkerState::Ready { since } | WorkerState::Stale { since, .. } => Some(since),
            WorkerState::Leaving { .. } => None,
            WorkerState::Starting { .. } | WorkerState::Killed { .. } => return None,
        };
        if silent > settings.healthcheck.max(LEAST_SILENCE) {
            let answering = reading.answering;
            return Some(Reason::Hung { silent, answering });
        }
        let age = now.saturating_duration_since(since?);
        if settings
            .max_worker_rss
            .is_some_and(|limit| reading.resident > limit)
        {
            return Some(Reason::Memory(reading.resident));
        }
        if settings
            .max_worker_lifetime
            .is_some_and(|limit| age > limit)
        {
            return Some(Reason::Age);
        }
        None
    }

    /// Says whether a worker that hangs is killed at once, as it has nothing to do but to finish: it will not. Where it
    /// serves, its replacement comes first; but one that does not come is not waited for longer than a start may take,
    /// for clients hang with the worker.
    fn is_beyond_waiting(&self, id: Id, reason: &Reason) -> bool {
        let Reason::Hung { silent, .. } = reason else {
            return false;
        };
        let limit = self.settings.healthcheck + self.settings.startup;
        self.workers
            .get(&id)
            .is_some_and(|worker| match &worker.state {
                WorkerState::Leaving { .. } => true,
                _ => *silent > limit,
            })
    }

    /// Notes that a worker should be replaced when its turn comes. One that hangs while it waits to
    /// be replaced is known to hang.
    pub(super) fn due(&mut self, id: Id, reason: Reason) {
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        let hung = matches!(reason, Reason::Hung { .. });
        match &mut worker.state {
            WorkerState::Stale { reason: known, .. } if hung => *known = reason,
            WorkerState::Ready { .. } if hung || worker.due.is_none() => worker.due = Some(reason),
            _ => {}
        }
    }

    /// Has the worker that is this process replaced when its turn comes.
    pub(super) fn restart(&mut self, pid: i32) {
        let mut workers = self.workers.iter();
        let id = workers
            .find(|(_, worker)| worker.pid == pid)
            .map(|(id, _)| *id);
        if let Some(id) = id {
            self.due(id, Reason::Asked);
        }
    }

    /// Has every worker replaced that there is now, also one that is still starting.
    pub(super) fn sockets_renewed(&mut self) {
        for worker in self.workers.values_mut() {
            if matches!(
                worker.state,
                WorkerState::Ready { .. } | WorkerState::Starting { .. }
            ) && !worker.hangs()
            {
                worker.due = Some(Reason::Sockets);
            }
        }
    }

    fn kill_late_starters(&mut self, now: Instant) {
        let limit = self.settings.startup;
        let late: Vec<Id> = self.ids(|worker| match worker.state {
            WorkerState::Starting { since } => now.saturating_duration_since(since) > limit,
            _ => false,
        });
        for id in late {
            let Some(worker) = self.workers.get_mut(&id) else {
                continue;
            };
            // It ends as one that could not start: its end is counted, and said.
            let why = Reason::Startup(limit).to_string();
            let status = crate::exit::Status::Application;
            worker.last_words.get_or_insert((status, why));
            self.actions.push(super::Action::Kill { id });
        }
    }
}
