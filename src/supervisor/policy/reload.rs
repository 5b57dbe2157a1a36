//! Versions of the application: which one is served, and which one is being tried.

use super::{Action, Id, Mode, Policy, Reason, State};
use crate::exit::Status;
use crate::log::Level;
use std::time::Instant;

/// The versions that there are.
#[derive(Debug, Default)]
pub struct Reload {
    /// The number of the version that was compiled last.
    last: u32,
    /// A compiler is at work on version `last`.
    compiling: bool,
    /// Another reload was asked for meanwhile.
    again: bool,
    /// The version that is served; none before the first was compiled.
    served: Option<u32>,
    /// A version that is compiled, and of which no worker has been ready yet.
    trying: Option<u32>,
}

impl Reload {
    /// The version that workers should have.
    pub fn wanted_generation(&self) -> u32 {
        self.trying.or(self.served).unwrap_or(0)
    }

    pub fn has_no_code(&self) -> bool {
        self.trying.or(self.served).is_none()
    }

    pub fn is_compiling(&self) -> bool {
        self.compiling
    }

    /// Whether a worker of this version is the first that would prove it.
    pub fn tries(&self, generation: u32) -> bool {
        self.trying == Some(generation) && self.served.is_some()
    }
}

impl Policy {
    /// Compiles the next version.
    pub(super) fn compile(&mut self) {
        self.reload.last += 1;
        self.reload.compiling = true;
        self.reload.again = false;
        self.actions.push(Action::Compile {
            number: self.reload.last,
        });
    }

    pub(super) fn reload(&mut self, why: &str) {
        if !self.mode.is_serving() {
            return;
        }
        if self.reload.compiling {
            self.reload.again = true;
            return;
        }
        self.log(Level::Info, format!("Reloading: {why}"));
        self.compile();
    }

    pub(super) fn compiled(&mut self) {
        self.reload.compiling = false;
        if !self.mode.is_serving() {
            return;
        }
        if self.reload.again {
            // What was compiled is out of date already.
            self.compile();
            return;
        }
        self.abandon_trial();
        self.reload.trying = Some(self.reload.last);
        // A new version has a clean slate.
        self.seats.clear();
    }

    pub(super) fn compile_failed(&mut self, status: Status, reason: String) {
        self.reload.compiling = false;
        if !self.mode.is_serving() {
            return;
        }
        if self.reload.has_no_code() {
            self.fail(status, reason);
            return;
        }
        self.log(
            Level::Error,
            format!("The reload failed, and the old version goes on serving: {reason}"),
        );
        if self.reload.again {
            self.compile();
        }
    }

    /// A worker of the version that is being tried is ready: from here on it is the one.
    pub(super) fn ready(&mut self, id: Id, now: Instant) {
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        if !worker.is_starting() {
            return;
        }
        worker.state = State::Ready { since: now };
        let generation = worker.generation;
        self.served = true;
        if self.reload.trying == Some(generation) {
            self.reload.served = self.reload.trying.take();
        }
        let ready = self
            .workers
            .values()
            .filter(|worker| worker.is_ready())
            .count();
        if self.mode == Mode::Booting && ready >= self.wanted {
            self.mode = Mode::Serving;
            self.actions.push(Action::Announce);
        }
    }

    /// The version that is being tried does not start: what served before goes on.
    pub(super) fn trial_failed(&mut self, why: &str) {
        self.log(
            Level::Error,
            format!("The reload failed, and the old version goes on serving: {why}"),
        );
        self.abandon_trial();
    }

    fn abandon_trial(&mut self) {
        let Some(tried) = self.reload.trying.take() else {
            return;
        };
        let starting = self.workers.iter_mut();
        for (id, worker) in
            starting.filter(|(_, worker)| worker.generation == tried && worker.is_starting())
        {
            worker.state = State::Killed {
                reason: Reason::Reload,
            };
            self.actions.push(Action::Kill { id: *id });
        }
    }
}
