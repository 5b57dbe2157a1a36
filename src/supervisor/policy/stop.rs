//! This file decides how everything ends.

use super::{Action, Id, Policy, Reason, Worker, WorkerState};
use crate::exit::Status;
use crate::log::Level;
use std::time::{Duration, Instant};

/// A `ServerMode` says what the whole server is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerMode {
    /// Not every worker has been ready yet.
    Booting,
    Serving,
    /// A stop was asked for; everything goes on until then, for load balancers to notice.
    Delaying {
        until: Instant,
    },
    /// Requests in flight are being finished.
    Draining,
    /// Nothing is waited for but the ends of the processes.
    Killing,
    /// There is nothing left.
    Over,
}

/// The kernel may take this long to end what was killed. A process that waits for a device that does not answer cannot
/// be ended at all, and does not keep everything else from ending.
const UNKILLABLE: Duration = Duration::from_secs(10);

impl ServerMode {
    /// Says whether workers that die are to be replaced.
    pub fn serves(&self) -> bool {
        self.changes() || matches!(self, ServerMode::Delaying { .. })
    }

    /// Says whether reloads and the like still make sense.
    pub fn changes(&self) -> bool {
        matches!(self, ServerMode::Booting | ServerMode::Serving)
    }

    pub fn until(&self) -> Option<Instant> {
        match self {
            ServerMode::Delaying { until } => Some(*until),
            _ => None,
        }
    }
}

impl Policy {
    /// Says whether nothing is waited for any more.
    pub fn kills(&self) -> bool {
        matches!(self.mode, ServerMode::Killing | ServerMode::Over)
    }

    pub(super) fn stop(&mut self, now: Instant) {
        match self.mode {
            ServerMode::Serving if !self.settings.shutdown_delay.is_zero() => {
                let delay = self.settings.shutdown_delay;
                let text = format!("Shutting down in {} s", delay.as_secs_f64());
                self.log(Level::Info, text);
                self.mode = ServerMode::Delaying { until: now + delay };
                self.actions.push(Action::Withdraw);
                self.abandon_changes(&Reason::Shutdown, now);
            }
            ServerMode::Booting | ServerMode::Serving => self.drain(now),
            ServerMode::Delaying { .. } | ServerMode::Draining => {
                let text = "Asked to stop again: not waiting for requests";
                self.log(Level::Warning, text.to_owned());
                self.quit(now);
            }
            ServerMode::Over => self.quit(now),
            ServerMode::Killing => {}
        }
    }

    pub(super) fn quit(&mut self, now: Instant) {
        // No worker is left, but jobs may run for as long as the first signal left them.
        if self.mode == ServerMode::Over {
            self.actions.push(Action::EndJobs);
        }
        if !matches!(self.mode, ServerMode::Killing | ServerMode::Over) {
            self.mode = ServerMode::Killing;
            self.actions.push(Action::CloseListeners);
        }
        self.kill_all(&Reason::Shutdown, now);
    }

    /// The application cannot start: everything ends, with this status and for this reason.
    pub(super) fn fail(&mut self, status: Status, why: String, now: Instant) {
        if !self.mode.serves() {
            return;
        }
        let status = match status {
            Status::DamagedCode | Status::NoRoom => Status::Application,
            status => status,
        };
        self.failure = Some((status, why));
        self.mode = ServerMode::Killing;
        self.kill_all(&Reason::StartFailed, now);
    }

    fn kill_all(&mut self, reason: &Reason, now: Instant) {
        self.abandon_changes(reason, now);
        for id in self.ids(|worker| !worker.is_killed()) {
            self.kill(id, reason.clone(), now);
        }
    }

    /// Nothing new is begun any more, and workers of what was begun end for this reason.
    fn abandon_changes(&mut self, reason: &Reason, now: Instant) {
        if self.reload.is_compiling() {
            self.actions.push(Action::KillCompiler);
        }
        if self.upgrade.has_process() {
            self.actions.push(Action::KillSuccessor);
        }
        self.abandon_trial(reason, now);
    }

    pub(super) fn drain(&mut self, now: Instant) {
        self.log(Level::Info, "Shutting down".to_owned());
        self.mode = ServerMode::Draining;
        self.actions.push(Action::Withdraw);
        self.actions.push(Action::CloseListeners);
        self.abandon_changes(&Reason::Shutdown, now);
        // Behind a load balancer clients keep their connections: they are told that their next answer is the last one.
        let retiring = !self.settings.shutdown_delay.is_zero();
        for id in self.ids(|worker| !worker.is_killed()) {
            self.dismiss(id, Reason::Shutdown, retiring, now);
        }
    }

    /// Does what is due because time has passed.
    pub(super) fn advance(&mut self, now: Instant) {
        if self.mode.until().is_some_and(|until| until <= now) {
            self.drain(now);
        }
        self.give_up_asking(now);
        self.give_up_late_compiler(now);
        self.kill_late_leavers(now);
        if matches!(self.mode, ServerMode::Draining | ServerMode::Killing) {
            self.exit_when_over(now);
        }
    }

    fn kill_late_leavers(&mut self, now: Instant) {
        let late = self.workers.iter().filter_map(|(id, worker)| {
            let WorkerState::Leaving { deadline, reason } = &worker.state else {
                return None;
            };
            (*deadline <= now).then(|| (*id, reason.clone()))
        });
        let late: Vec<(Id, Reason)> = late.collect();
        for (id, reason) in late {
            self.kill(id, Reason::Drain(Box::new(reason)), now);
        }
    }

    fn exit_when_over(&mut self, now: Instant) {
        let dead = |worker: &Worker| match worker.state {
            WorkerState::Killed { since, .. } => now.saturating_duration_since(since) > UNKILLABLE,
            _ => false,
        };
        let helps = self.reload.is_compiling() || self.upgrade.has_process();
        if helps || !self.workers.values().all(dead) {
            return;
        }
        for worker in std::mem::take(&mut self.workers).into_values() {
            let text = format!("Child process [{}] cannot be killed: left", worker.pid);
            self.log(Level::Error, text);
        }
        self.mode = ServerMode::Over;
        let failure = self.failure.clone();
        self.actions.push(Action::Exit { failure });
    }
}
