//! A `Report` is what the policy says of its state to whoever looks after the server: the present, and what has
//! happened since it was asked last.

use super::upgrade::Upgrade;
use super::worker::Worker;
use super::{Policy, ServerMode};
use crate::scoreboard::totals::EndReason;
use crate::scoreboard::{ServerState, Versions, WorkerNumbers};

/// A `Report` says how the server is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub state: ServerState,
    pub versions: Versions,
    pub workers: WorkerNumbers,
}

/// An `Incident` is something that has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incident {
    Reloaded,
    /// The last reload failed for this reason.
    ReloadFailed(String),
    CanaryOver {
        promoted: bool,
    },
    /// A worker has ended.
    Ended {
        pid: i32,
        reason: EndReason,
        why: String,
    },
}

impl Policy {
    pub fn report(&self) -> Report {
        Report {
            state: match &self.mode {
                ServerMode::Booting => ServerState::Starting,
                ServerMode::Serving => ServerState::Serving,
                ServerMode::Delaying { .. } => ServerState::Delaying,
                ServerMode::Draining => ServerState::Draining,
                ServerMode::Killing | ServerMode::Over => ServerState::Ending,
            },
            versions: self.reload.versions(self.upgrade != Upgrade::None),
            workers: WorkerNumbers {
                wanted: self.wanted as u32,
                least: self.bounds.least() as u32,
                most: self.bounds.most() as u32,
                limit: self.most as u32,
            },
        }
    }

    pub fn take_incidents(&mut self) -> Vec<Incident> {
        std::mem::take(&mut self.incidents)
    }

    /// A worker has ended.
    pub(super) fn note_end(&mut self, worker: &Worker, reason: EndReason, why: &str) {
        // Who was never forked is nobody.
        if worker.pid > 0 {
            self.incidents.push(Incident::Ended {
                pid: worker.pid,
                reason,
                why: why.to_owned(),
            });
        }
    }
}
