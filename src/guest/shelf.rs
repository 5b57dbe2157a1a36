//! Instances that wait for a further request, where the operator has allowed that one answers several.

use super::instance::Instance;
use crate::warning;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long an instance may be of use.
#[derive(Clone, Copy, Debug)]
pub struct Reuse {
    /// Requests that one instance answers; one means that each request has an instance of its own.
    pub requests: u64,
    /// How long it may wait for the next.
    pub idle: Duration,
    /// Requests that it answers at a time.
    pub concurrency: usize,
}

pub struct Shelf {
    reuse: Reuse,
    /// The one that was used last comes last: it is the one whose memory is warm.
    kept: Mutex<Vec<(Instance, Instant)>>,
    /// Whether an instance has answered a second request.
    proven: AtomicBool,
    spoiled: AtomicBool,
    swept: AtomicBool,
}

impl Shelf {
    /// None where no instance is of use a second time.
    pub fn new(reuse: Reuse) -> Option<Arc<Shelf>> {
        let shelf = Shelf {
            reuse,
            kept: Mutex::default(),
            proven: AtomicBool::new(false),
            spoiled: AtomicBool::new(false),
            swept: AtomicBool::new(false),
        };
        (reuse.requests > 1).then(|| Arc::new(shelf))
    }

    /// An instance for a request. As long as it is not known whether this component's instances are of use
    /// twice, it is tried only with a request that can be repeated; the others' instance takes its place.
    pub fn take(&self, repeatable: bool) -> Option<Instance> {
        let (instance, _) = self.kept().pop()?;
        (repeatable || self.proven.load(Relaxed)).then_some(instance)
    }

    /// An instance has answered a second request.
    pub fn prove(&self) {
        self.proven.store(true, Relaxed);
    }

    /// Keeps an instance that has answered, for as long as it may be of use.
    pub fn keep(self: &Arc<Self>, instance: Instance) {
        if instance.answered() >= self.reuse.requests || self.spoiled.load(Relaxed) {
            return;
        }
        self.kept().push((instance, Instant::now()));
        if !self.swept.swap(true, Relaxed) {
            tokio::task::spawn_local(sweep(self.clone()));
        }
    }

    /// An instance gave no answer to a further request, and a fresh one did: this component's instances
    /// are good for one request each.
    pub fn spoil(&self) {
        if !self.spoiled.swap(true, Relaxed) {
            warning!(
                "an instance gave no answer to its second request, and a fresh one did: its toolchain \
                 makes instances for one request each, and --reuse is left alone from here on"
            );
        }
        self.kept().clear();
    }

    fn kept(&self) -> MutexGuard<'_, Vec<(Instance, Instant)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drops what has waited for too long, until nothing is left.
async fn sweep(shelf: Arc<Shelf>) {
    loop {
        tokio::time::sleep(shelf.reuse.idle).await;
        let mut kept = shelf.kept();
        kept.retain(|(_, since)| since.elapsed() < shelf.reuse.idle);
        if kept.is_empty() {
            shelf.swept.store(false, Relaxed);
            return;
        }
    }
}
