//! Versions of the application: which one is served, and which one is being tried.

use super::attempt::AttemptState;
use super::canary::Canary;
use super::upgrade::Upgrade;
use super::{Action, Id, Incident, Policy, Reason, Worker, WorkerState};
use crate::exit::Status;
use crate::log::Level;
use crate::scoreboard::Versions;
use crate::supervisor::settings::Settings;
use std::time::Instant;

/// A `CandidateVersion` is compiled, with its settings: no worker of it has been ready yet, or it has a canary.
#[derive(Debug)]
pub struct CandidateVersion {
    pub generation: u32,
    settings: Box<Settings>,
    pub canary: Option<Canary>,
}

/// A `Reload` knows the versions that there are.
#[derive(Debug, Default)]
pub struct Reload {
    /// The version that was compiled last has this number.
    last: u32,
    /// This is being done about version `last`.
    pub attempt: AttemptState,
    /// Another reload was asked for meanwhile.
    again: bool,
    /// The reload that was asked for last is to have a canary, whatever the settings say.
    asks_canary: bool,
    /// This version is served; none before the first was ready.
    served: Option<u32>,
    /// This was the last version that could not be served; nought where there was none.
    failed: u32,
    trying: Option<CandidateVersion>,
    /// A version whose code was in the cache already, as long as nobody has found fault with it.
    found: Option<u32>,
    /// This executable began with this version when it took over from another, which is no reload.
    taken_over: Option<u32>,
    /// The version that is served, or tried, was compiled because another one's code was found to be damaged.
    remade: bool,
}

impl Reload {
    /// A version is served already.
    pub fn serving(generation: u32) -> Reload {
        Reload {
            last: generation,
            served: Some(generation),
            taken_over: generation.checked_add(1),
            ..Reload::default()
        }
    }

    /// Gives the version that is being tried.
    pub fn tried(&self) -> Option<u32> {
        self.trying.as_ref().map(|candidate| candidate.generation)
    }

    pub fn candidate(&self) -> Option<&CandidateVersion> {
        self.trying.as_ref()
    }

    pub fn candidate_mut(&mut self) -> Option<&mut CandidateVersion> {
        self.trying.as_mut()
    }

    pub fn asks_canary(&self) -> bool {
        self.asks_canary
    }

    /// Says whether a version takes the place of another of this executable.
    pub fn is_reload(&self, generation: u32) -> bool {
        self.served.is_some() && self.taken_over != Some(generation)
    }

    /// Notes that a version cannot be served.
    pub fn note_failed(&mut self, generation: u32) {
        self.failed = self.failed.max(generation);
    }

    /// Gives the version that workers should have.
    pub fn wanted_generation(&self) -> u32 {
        self.tried().or(self.served).unwrap_or(0)
    }

    /// Gives the version that is known to work while another is being tried.
    pub fn proven(&self) -> Option<u32> {
        self.trying.as_ref().and(self.served)
    }

    /// Gives what whoever looks after the server is told of it. An executable that is being replaced makes a version
    /// too.
    pub fn versions(&self, upgrades: bool) -> Versions {
        Versions {
            served: self.served.unwrap_or(0),
            attempted: self.last,
            failed: self.failed,
            changing: self.is_compiling() || self.trying.is_some() || self.again || upgrades,
        }
    }

    pub fn has_no_code(&self) -> bool {
        self.tried().or(self.served).is_none()
    }

    /// Says whether there is a process that makes the next version.
    pub fn is_compiling(&self) -> bool {
        self.attempt.is_under_way()
    }

    /// Says whether a worker of this version is the first that would prove it.
    pub fn tries(&self, generation: u32) -> bool {
        self.tried() == Some(generation) && self.served.is_some()
    }

    /// Says whether a worker of this version may still be forked.
    pub fn needs(&self, generation: u32) -> bool {
        self.tried() == Some(generation) || self.served == Some(generation)
    }

    /// Notes that another reload was asked for. Says whether that was so before.
    pub fn ask_again(&mut self) -> bool {
        std::mem::replace(&mut self.again, true)
    }

    /// Says whether another reload was asked for, which is begun now.
    pub fn take_again(&mut self) -> bool {
        std::mem::take(&mut self.again)
    }
}

impl Policy {
    /// Compiles the next version.
    pub(super) fn compile(&mut self) {
        self.reload.last += 1;
        self.reload.attempt = AttemptState::Asked;
        self.reload.again = false;
        let number = self.reload.last;
        self.actions.push(Action::Compile { number });
    }

    pub(super) fn reload(&mut self, why: &str, canary: bool) {
        if !self.mode.changes() {
            return;
        }
        self.reload.asks_canary = canary;
        self.log(Level::Info, format!("Reloading: {why}"));
        // A new chance for code that was found, too.
        self.reload.remade = false;
        if self.reload.is_compiling() || self.upgrade.is_under_way() {
            self.supersede();
        } else {
            self.compile();
        }
    }

    /// A version can be tried. Its code may have been found in the cache.
    pub(super) fn compiled(&mut self, settings: Box<Settings>, found: bool, now: Instant) {
        self.reload.attempt = AttemptState::None;
        if !self.mode.changes() {
            return;
        }
        if self.reload.again && self.upgrade != Upgrade::Asked {
            // What was compiled is out of date already.
            self.compile();
            return;
        }
        let generation = self.reload.last;
        self.canary_gives_way(generation);
        self.abandon_trial(&Reason::Reload, now);
        let canary = self.new_canary(generation, &settings.canary);
        if canary.is_some() && self.upgrade == Upgrade::Asked {
            // The new executable makes its own version of everything; where it cannot, another reload follows.
            self.reload.ask_again();
            self.begin_upgrade_that_waited(now);
            return;
        }
        self.reload.trying = Some(CandidateVersion {
            generation,
            settings,
            canary,
        });
        self.reload.found = found.then_some(self.reload.last);
        // A new version has a clean slate.
        self.backoffs.clear();
        self.begin_upgrade_that_waited(now);
    }

    pub(super) fn compile_failed(&mut self, status: Status, reason: String, now: Instant) {
        let attempt = std::mem::take(&mut self.reload.attempt);
        if !self.mode.changes() {
            return;
        }
        let (status, reason, asked) = match attempt {
            AttemptState::Ending(why) if why.was_asked_for() => (status, reason, true),
            AttemptState::Ending(why) => (Status::Application, why.to_string(), false),
            _ => (status, reason, false),
        };
        if self.upgrade == Upgrade::Asked || self.reload.again {
            if !asked && !self.reload.has_no_code() {
                self.reload_failed(&reason);
            }
            match self.upgrade {
                // The new executable makes its own; where it cannot, another reload follows.
                Upgrade::Asked => self.begin_upgrade_that_waited(now),
                _ => self.compile(),
            }
        } else if self.reload.has_no_code() {
            self.fail(status, reason, now);
        } else {
            self.reload_failed(&reason);
        }
    }

    /// Drops code that was found in the cache and does not bear to be executed, and has it compiled again, once; false
    /// where that is no remedy.
    pub(super) fn remake(&mut self, generation: u32, why: &str, now: Instant) -> bool {
        let was_found = self.reload.found == Some(generation);
        if !was_found || self.reload.remade || !self.mode.changes() {
            return false;
        }
        self.reload.found = None;
        self.reload.remade = true;
        let text = format!("The compiled code in the cache is dropped, and made again: {why}");
        self.log(Level::Warning, text);
        self.actions.push(Action::DropCode { generation });
        if self.reload.tried() == Some(generation) {
            self.abandon_trial(&Reason::DamagedCode, now);
        }
        if self.reload.is_compiling() || self.upgrade.is_under_way() {
            self.reload.ask_again();
        } else {
            self.compile();
        }
        true
    }

    /// An attempt has failed for the sake of the cache. There is another, once, which does without that.
    pub(super) fn compile_again(&mut self, remedy: &str, why: String, now: Instant) {
        let again = !std::mem::replace(&mut self.reload.remade, true);
        let killed = matches!(self.reload.attempt, AttemptState::Ending(_));
        if !again || killed || !self.mode.changes() {
            self.compile_failed(Status::Application, why, now);
            return;
        }
        self.log(Level::Warning, format!("{remedy}: {why}"));
        self.compile();
    }

    fn reload_failed(&mut self, why: &str) {
        self.reload.failed = self.reload.last;
        self.incidents.push(Incident::ReloadFailed(why.to_owned()));
        let what = match self.reload.is_reload(self.reload.last) {
            true => "The reload failed, and the old version goes on serving",
            false => "The new executable cannot serve, and the workers of the old one go on",
        };
        let text = format!("{what}: {why}");
        self.log(Level::Error, text);
    }

    /// A worker can serve.
    pub(super) fn ready(&mut self, id: Id, now: Instant) {
        let Some(worker) = self.workers.get_mut(&id).filter(|w| w.is_starting()) else {
            return;
        };
        worker.state = WorkerState::Ready { since: now };
        worker.last_beat = super::worker::LastBeat::new(now);
        let generation = worker.generation;
        self.served = true;
        if self.reload.tried() == Some(generation) && !self.canary_ready(now) {
            self.adopt(generation);
        }
    }

    /// Adopts a version that was tried and can serve: from here on it is the one. How many workers were asked for by
    /// signal goes on to count, unless the new settings want another number.
    pub(super) fn adopt(&mut self, generation: u32) {
        let Some(CandidateVersion { settings, .. }) = self.reload.trying.take() else {
            return;
        };
        let replaces = self.reload.served.replace(generation).is_some();
        if replaces && self.reload.taken_over != Some(generation) {
            self.incidents.push(Incident::Reloaded);
        }
        let before = std::mem::replace(&mut self.settings, *settings);
        if self.settings.workers != before.workers {
            self.bound(self.settings.workers);
        }
        self.actions.push(Action::Adopt { generation });
    }

    /// Gives up the version that is being tried and does not start: what served before goes on.
    pub(super) fn trial_failed(&mut self, why: &str, now: Instant) {
        match self.canary() {
            Some(_) => self.roll_back(why, now),
            None => {
                self.reload_failed(why);
                self.abandon_trial(&Reason::VersionFailed, now);
            }
        }
    }

    /// Gives up the version that is being tried: its workers that start end for this reason.
    pub(super) fn abandon_trial(&mut self, reason: &Reason, now: Instant) {
        let Some(candidate) = self.reload.trying.take() else {
            return;
        };
        let tried = candidate.generation;
        self.dismiss_canary(&candidate, now);
        let starting =
            self.ids(|worker: &Worker| worker.generation == tried && worker.is_starting());
        for id in starting {
            self.kill(id, reason.clone(), now);
        }
    }
}
