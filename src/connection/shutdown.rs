//! That the worker is leaving: since when, and how long it waits for idle connections to speak up.

use std::cell::Cell;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::time::sleep_until;

/// Set once, seen by every connection.
#[derive(Default)]
pub struct WorkerShutdown {
    begun: Cell<Option<(Instant, Duration)>>,
    /// When the worker is gone, whatever is still open.
    until: Cell<Option<Instant>>,
    announced: Notify,
}

impl WorkerShutdown {
    /// Connections are closed once they have been idle for `moment`; each answer until then says that
    /// it is the last.
    pub fn begin(&self, moment: Duration, until: Instant) {
        self.until.set(Some(until));
        self.begun.set(Some((Instant::now(), moment)));
        self.announced.notify_waiters();
    }

    pub fn begun(&self) -> Option<(Instant, Duration)> {
        self.begun.get()
    }

    /// When the worker is gone, where others go on; none where all of them stop.
    pub fn until(&self) -> Option<Instant> {
        let (_, moment) = self.begun.get()?;
        self.until.get().filter(|_| !moment.is_zero())
    }

    /// Resolves when it has begun, and who has been silent ever since is to be closed.
    pub async fn ends_idling(&self) {
        self.wait().await;
        if let Some((since, moment)) = self.begun() {
            sleep_until((since + moment).into()).await;
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
