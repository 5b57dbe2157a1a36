//! `WorkerShutdown` says that the worker is leaving: since when, and how long it waits for idle connections to speak
//! up.

use super::timeouts::Leaving;
use std::cell::Cell;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::time::sleep_until;

/// A `WorkerShutdown` begins once, and is seen by every connection.
#[derive(Default)]
pub struct WorkerShutdown {
    begun: Cell<Option<ShutdownPlan>>,
    announced: Notify,
}

#[derive(Clone, Copy)]
struct ShutdownPlan {
    leaving: Leaving,
    /// The worker is gone at this time, whatever is still open.
    until: Instant,
}

impl WorkerShutdown {
    /// Begins to close connections, each once it has been idle for this long. Until then each answer says that it is
    /// the last.
    pub fn begin(&self, idle: Duration, until: Instant) {
        let since = Instant::now();
        let leaving = Leaving { since, idle };
        self.begun.set(Some(ShutdownPlan { leaving, until }));
        self.announced.notify_waiters();
    }

    /// Says since when the worker is leaving, where it is.
    pub fn leaving(&self) -> Option<Leaving> {
        self.begun.get().map(|begun| begun.leaving)
    }

    /// Says when the worker is gone, where others go on; none where all of them stop.
    pub fn until(&self) -> Option<Instant> {
        let ShutdownPlan { leaving, until } = self.begun.get()?;
        (!leaving.is_hurried()).then_some(until)
    }

    /// Resolves when it has begun, and who has been silent ever since is to be closed.
    pub async fn ends_idling(&self) {
        self.wait().await;
        if let Some(Leaving { since, idle }) = self.leaving() {
            sleep_until((since + idle).into()).await;
        }
    }

    /// Resolves when it begins.
    pub async fn wait(&self) {
        let announced = self.announced.notified();
        if self.begun.get().is_none() {
            announced.await;
        }
    }
}
