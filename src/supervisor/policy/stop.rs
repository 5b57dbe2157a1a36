//! How everything ends.

use super::{Action, Id, Policy, Reason, State};
use crate::exit::Status;
use crate::log::Level;
use std::time::Instant;

/// What the whole server is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Not every worker has been ready yet.
    Booting,
    Serving,
    /// A stop was asked for; everything goes on until then, for load balancers to notice.
    Delaying {
        until: Instant,
    },
    /// What is in flight is being finished.
    Draining,
    /// Nothing is waited for but the ends of the processes.
    Killing {
        failure: Option<(Status, String)>,
    },
    /// There is nothing left.
    Over,
}

impl Mode {
    /// Whether workers that die are to be replaced.
    pub fn is_serving(&self) -> bool {
        matches!(self, Mode::Booting | Mode::Serving | Mode::Delaying { .. })
    }

    pub fn until(&self) -> Option<Instant> {
        match self {
            Mode::Delaying { until } => Some(*until),
            _ => None,
        }
    }
}

impl Policy {
    pub(super) fn stop(&mut self, now: Instant) {
        match self.mode {
            Mode::Serving if !self.settings.shutdown_delay.is_zero() => {
                let delay = self.settings.shutdown_delay;
                self.log(
                    Level::Info,
                    format!("Shutting down in {} s", delay.as_secs_f64()),
                );
                self.mode = Mode::Delaying { until: now + delay };
            }
            Mode::Serving => self.drain(now),
            Mode::Booting => self.quit(),
            Mode::Delaying { .. } | Mode::Draining => {
                self.log(
                    Level::Warning,
                    "Asked to stop again: not waiting for requests".to_owned(),
                );
                self.quit();
            }
            Mode::Killing { .. } | Mode::Over => {}
        }
    }

    pub(super) fn quit(&mut self) {
        if !matches!(self.mode, Mode::Killing { .. } | Mode::Over) {
            self.mode = Mode::Killing { failure: None };
            self.actions.push(Action::CloseListeners);
        }
        self.kill_all();
    }

    pub(super) fn kill_all(&mut self) {
        if self.reload.is_compiling() {
            self.actions.push(Action::KillCompiler);
        }
        for (id, worker) in &mut self.workers {
            if !matches!(worker.state, State::Killed { .. }) {
                worker.state = State::Killed {
                    reason: Reason::Shutdown,
                };
                self.actions.push(Action::Kill { id: *id });
            }
        }
    }

    fn drain(&mut self, now: Instant) {
        self.log(Level::Info, "Shutting down".to_owned());
        self.mode = Mode::Draining;
        self.actions.push(Action::CloseListeners);
        if self.reload.is_compiling() {
            self.actions.push(Action::KillCompiler);
        }
        let all: Vec<(Id, bool)> = self
            .workers
            .iter()
            .filter(|(_, worker)| !matches!(worker.state, State::Killed { .. }))
            .map(|(id, worker)| {
                (
                    *id,
                    matches!(
                        worker.state,
                        State::Stale {
                            reason: Reason::Hung(..),
                            ..
                        }
                    ),
                )
            })
            .collect();
        for (id, hung) in all {
            if hung {
                self.kill(id, Reason::Shutdown);
            } else {
                self.dismiss(id, Reason::Shutdown, false, now);
            }
        }
    }

    fn kill(&mut self, id: Id, reason: Reason) {
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.state = State::Killed { reason };
            self.actions.push(Action::Kill { id });
        }
    }

    /// What is due because time has passed.
    pub(super) fn advance(&mut self, now: Instant) {
        if self.mode.until().is_some_and(|until| until <= now) {
            self.drain(now);
        }
        let late: Vec<Id> = self
            .workers
            .iter()
            .filter(|(_, worker)| matches!(worker.state, State::Leaving { deadline, .. } if deadline <= now))
            .map(|(id, _)| *id)
            .collect();
        for id in late {
            self.kill(id, Reason::Drain);
        }
        let stopping = matches!(self.mode, Mode::Draining | Mode::Killing { .. });
        if stopping && self.workers.is_empty() && !self.reload.is_compiling() {
            let failure = match std::mem::replace(&mut self.mode, Mode::Over) {
                Mode::Killing { failure } => failure,
                _ => None,
            };
            self.actions.push(Action::Exit { failure });
        }
    }
}
