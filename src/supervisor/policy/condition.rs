//! A `Condition` says what the server as a whole is doing, for whoever manages it.

use super::{Policy, ServerMode, Worker};

/// A `Condition` says what the server is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Not every worker has been ready yet.
    Starting {
        ready: usize,
        wanted: usize,
    },
    Serving {
        ready: usize,
        wanted: usize,
    },
    /// Another version is being made, tried, or given to the workers; the one before goes on serving.
    Reloading,
    /// A stop was asked for, and requests are still taken.
    Delaying,
    /// A stop was asked for, and requests in flight are being finished.
    Stopping,
    /// Nothing is waited for but the ends of processes: a stop does not wait, or the server cannot go on.
    Ending,
    /// No worker is left.
    Over,
}

impl Condition {
    /// Says whether the server will serve nobody any more, or is about to.
    pub fn ends(self) -> bool {
        match self {
            Condition::Starting { .. } | Condition::Serving { .. } | Condition::Reloading => false,
            Condition::Delaying | Condition::Stopping | Condition::Ending | Condition::Over => true,
        }
    }
}

impl Policy {
    /// Gives what the server is doing now.
    pub fn condition(&self) -> Condition {
        let ready = self.workers.values().filter(|worker| worker.serves());
        let (ready, wanted) = (ready.count(), self.wanted);
        match self.mode {
            ServerMode::Booting => Condition::Starting { ready, wanted },
            ServerMode::Serving if self.is_reloading() => Condition::Reloading,
            ServerMode::Serving => Condition::Serving { ready, wanted },
            ServerMode::Delaying { .. } => Condition::Delaying,
            ServerMode::Draining => Condition::Stopping,
            ServerMode::Killing => Condition::Ending,
            ServerMode::Over => Condition::Over,
        }
    }

    /// Says why the server cannot go on, where that is why it ends.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_ref().map(|(_, why)| why.as_str())
    }

    /// Says whether another version is on its way, up to the last worker that has the one before. While a
    /// canary runs both are served, for as long as it may take.
    pub(super) fn is_reloading(&self) -> bool {
        if self.canary().is_some() {
            return self.reload.is_compiling();
        }
        let wanted = self.reload.wanted_generation();
        let outdated = |worker: &Worker| worker.serves() && worker.generation != wanted;
        self.reload.is_compiling()
            || self.reload.proven().is_some()
            || self.workers.values().any(outdated)
    }
}
