//! This file decides what is done about a canary: it is begun, promoted or rolled back, and shown.

use super::super::reload::CandidateVersion;
use super::super::{Death, HealthReading, Id, Incident, Policy, Reason, Worker, WorkerState};
use super::{Canary, CanaryDecision, Observations, SHARE, Stage, workers};
use crate::log::Level;
use crate::scoreboard::{Answers, CanaryFigures};
use crate::supervisor::settings::CanarySettings;
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Instant;

impl Policy {
    pub(in super::super) fn canary(&self) -> Option<&Canary> {
        self.reload.candidate()?.canary.as_ref()
    }

    fn canary_mut(&mut self) -> Option<&mut Canary> {
        self.reload.candidate_mut()?.canary.as_mut()
    }

    /// Says whether what workers have answered is of any use.
    pub fn compares_answers(&self) -> bool {
        self.canary().is_some()
    }

    /// Gives how the canary is; none where no canary runs.
    pub fn canary_figures(&self, now: Instant) -> Option<CanaryFigures> {
        Some(self.canary()?.figures(now))
    }

    /// Gives what is known of the canary of a version, before it has a worker; none where it is to have no canary, or
    /// where nobody serves beside whom it could be tried.
    pub(in super::super) fn new_canary(
        &self,
        generation: u32,
        settings: &CanarySettings,
    ) -> Option<Canary> {
        let asked = self.reload.asks_canary().then_some(SHARE);
        let share = settings.share.or(asked)?;
        let serves = self.workers.values().any(Worker::serves);
        if !serves || !self.reload.is_reload(generation) {
            return None;
        }
        let workers = workers(share, self.wanted);
        Some(Canary {
            generation,
            indices: self.most..self.most + workers,
            share,
            settings: settings.clone(),
            stage: Stage::Starting,
            hurries: false,
            old: Observations::default(),
            new: Observations::default(),
            known: BTreeMap::new(),
            first: Id(self.next_id),
            in_flight: 0,
        })
    }

    /// Gives the indices of the canary's workers; none where no canary runs.
    pub(in super::super) fn canary_indices(&self) -> Range<usize> {
        self.canary().map_or(0..0, |canary| canary.indices.clone())
    }

    /// Notes that a worker of the version that is being tried is ready; false where that has no canary.
    pub(in super::super) fn canary_ready(&mut self, now: Instant) -> bool {
        let others = self.wanted;
        let Some(canary) = self.canary_mut() else {
            return false;
        };
        if canary.stage == Stage::Starting {
            canary.stage = Stage::Warming { since: now };
            let (generation, workers) = (canary.generation, canary.indices.len());
            let time = canary.settings.time.as_secs_f64();
            let hurries = canary.hurries;
            let beside = match workers {
                1 => "1 worker".to_owned(),
                workers => format!("{workers} workers"),
            };
            let text = format!(
                "Canary: version {generation} is compared for {time} s, by {beside} beside {others} of the old version"
            );
            self.log(Level::Info, text);
            if hurries {
                self.promote("asked to");
            }
        }
        true
    }

    /// Says that the canary that runs, if one does, makes room for this version.
    pub(in super::super) fn canary_gives_way(&mut self, to: u32) {
        if let Some(canary) = self.canary() {
            let from = canary.generation;
            let text = format!("Canary: version {from} is given up for version {to}");
            self.log(Level::Info, text);
        }
    }

    /// Compares both versions by what their workers have answered.
    pub(in super::super) fn judge_canary(&mut self, readings: &[HealthReading], now: Instant) {
        let generations = readings.iter().filter_map(|reading| {
            let generation = self.workers.get(&reading.id)?.generation;
            Some((reading.id, generation, reading.answers.as_deref()?))
        });
        let generations: Vec<(Id, u32, &Answers)> = generations.collect();
        let tried = self.canary().map(|canary| canary.generation);
        let is_tried = |id: Id| self.workers.get(&id).map(|it| it.generation) == tried;
        let in_flight = readings.iter().filter(|reading| is_tried(reading.id));
        let in_flight = in_flight.map(|reading| reading.load.in_flight).sum();
        let Some(canary) = self.canary_mut() else {
            return;
        };
        for (id, generation, answers) in generations {
            canary.see(id, generation, answers);
        }
        canary.in_flight = in_flight;
        let (generation, verdict) = (canary.generation, canary.verdict(now));
        let is_new = |worker: &Worker| worker.generation == generation && worker.serves();
        let serves = self.workers.values().any(is_new);
        match verdict {
            CanaryDecision::RollBack(why) => self.roll_back(&why, now),
            // A newer version is on its way, which may be wanted because of what is wrong with this one.
            CanaryDecision::Promote(why) if serves && !self.reload.is_compiling() => {
                self.promote(&why)
            }
            CanaryDecision::GoOn | CanaryDecision::Promote(_) => {}
            CanaryDecision::Wait => {
                let text = format!(
                    "Canary: its time is over, but too few requests have come to judge version {generation}; it goes on \
                     until enough have, or until `wasmserve promote` or `wasmserve rollback`"
                );
                self.log(Level::Warning, text);
            }
        }
    }

    /// Keeps the canary's share where there are more workers now, or fewer.
    pub(in super::super) fn resize_canary(&mut self) {
        let others = self.wanted;
        if let Some(canary) = self.canary_mut() {
            canary.resize(others);
        }
    }

    /// Promotes the canary, as the operator has decided.
    pub(in super::super) fn promote_by_hand(&mut self) {
        match self.canary_mut() {
            Some(canary) if canary.stage == Stage::Starting => canary.hurries = true,
            _ => self.promote("asked to"),
        }
    }

    /// Gives the new version to all workers. Those that have it take the indices of others.
    fn promote(&mut self, why: &str) {
        let indices = self.canary_indices();
        if indices.is_empty() || !self.mode.changes() {
            return;
        }
        let Some(generation) = self.reload.tried() else {
            return;
        };
        let text = format!("Canary: version {generation} is promoted: {why}");
        self.log(Level::Info, text);
        self.incidents.push(Incident::CanaryOver { promoted: true });
        self.take_indices(indices);
        self.backoffs.clear();
        self.adopt(generation);
    }

    /// Has the canary's workers take the indices of others: first those that nobody serves at, so that nobody leaves
    /// who is needed.
    fn take_indices(&mut self, indices: Range<usize>) {
        let served = |index: &usize| self.at(*index).any(Worker::serves);
        let mut from: Vec<usize> = indices.collect();
        let mut to: Vec<usize> = (0..self.wanted).collect();
        from.sort_by_key(|index| !served(index));
        to.sort_by_key(served);
        let moves: BTreeMap<usize, usize> = from.into_iter().zip(to).collect();
        for worker in self.workers.values_mut() {
            if let Some(index) = moves.get(&worker.index) {
                worker.index = *index;
            }
        }
    }

    /// Gives up the new version, and the old one goes on.
    pub(in super::super) fn roll_back(&mut self, why: &str, now: Instant) {
        let Some(canary) = self.canary() else {
            return;
        };
        let generation = canary.generation;
        let served = self.reload.proven().unwrap_or_default();
        self.reload.note_failed(generation);
        let reason = format!("the canary of version {generation} was rolled back: {why}");
        self.incidents.push(Incident::ReloadFailed(reason));
        self.incidents
            .push(Incident::CanaryOver { promoted: false });
        let text = format!(
            "Canary: version {generation} is rolled back, and version {served} goes on serving: {why}"
        );
        self.log(Level::Error, text);
        self.abandon_trial(&Reason::Canary, now);
    }

    /// Has workers of a version leave that is not tried any more.
    pub(in super::super) fn dismiss_canary(&mut self, candidate: &CandidateVersion, now: Instant) {
        if candidate.canary.is_none() {
            return;
        }
        let leaving = self.ids(|worker| {
            worker.generation == candidate.generation
                && matches!(
                    worker.state,
                    WorkerState::Ready { .. } | WorkerState::Stale { .. }
                )
        });
        for id in leaving {
            self.dismiss(id, Reason::Canary, true, now);
        }
    }

    /// Judges a worker that hangs: one of the canary is no better than one that has died.
    pub(in super::super) fn hangs_in_canary(&mut self, id: Id, reason: &Reason, now: Instant) {
        let generation = self.workers.get(&id).map(|worker| worker.generation);
        let is_new = self
            .canary()
            .is_some_and(|canary| Some(canary.generation) == generation);
        if is_new {
            self.died_in_canary(generation.unwrap_or_default(), &reason.to_string(), now);
        }
    }

    /// A worker has died that nobody had told to leave.
    pub(in super::super) fn lost_in_canary(
        &mut self,
        generation: u32,
        death: Death,
        how: &str,
        now: Instant,
    ) {
        if !death.is_by_others() {
            self.died_in_canary(generation, how, now);
        }
    }

    fn died_in_canary(&mut self, generation: u32, how: &str, now: Instant) {
        let others = self.wanted;
        let Some(canary) = self.canary_mut() else {
            return;
        };
        if canary.note_death(generation, others) {
            let (new, old) = (canary.new.deaths, canary.old.deaths);
            let why = format!(
                "workers of it that died: {new}, of the old version: {old}; the last one: {how}"
            );
            self.roll_back(&why, now);
        }
    }
}
