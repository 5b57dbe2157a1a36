//! Instances that wait for a further request, where the operator has allowed that one answers several.

use super::serial::Instance;
use crate::guest::limits::Reuse;
use crate::sys::memory;
use crate::warning;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::yield_now;

/// How often an instance is put back, at most: what the engine keeps of its past is not for ever.
const MOST_RESETS: u64 = 100_000;

/// How long one waits to be put to use again: a burst leaves many, which take memory.
const REST: Duration = Duration::from_secs(2);

pub struct InstancePool {
    reuse: Reuse,
    /// Instances are put back before they answer again.
    restores: bool,
    /// The one that was used last comes last: it is the one whose memory is warm.
    kept: Mutex<Vec<(Instance, Instant)>>,
    /// Whether an instance has answered a second request.
    proven: AtomicBool,
    spoiled: AtomicBool,
    swept: AtomicBool,
    tidied: AtomicBool,
}

impl InstancePool {
    /// None where no instance is of use a second time: it is where it may answer again, or `can_rewind`.
    pub fn new(reuse: Reuse, can_reset: bool) -> Option<Arc<InstancePool>> {
        let restores = can_reset && reuse.requests == 1;
        let pool = InstancePool {
            reuse: match restores {
                true => Reuse {
                    requests: MOST_RESETS,
                    idle: REST,
                    ..reuse
                },
                false => reuse,
            },
            restores,
            kept: Mutex::default(),
            proven: AtomicBool::new(false),
            spoiled: AtomicBool::new(false),
            swept: AtomicBool::new(false),
            tidied: AtomicBool::new(false),
        };
        (restores || reuse.requests > 1).then(|| Arc::new(pool))
    }

    /// Whether instances are put back before they answer again.
    pub fn restores(&self) -> bool {
        self.restores
    }

    /// An instance for a request. As long as it is not known whether this component's instances are of use
    /// twice, it is tried only with a request that can be repeated; the others' instance takes its place.
    pub fn take(&self, repeatable: bool) -> Option<Instance> {
        let (instance, _) = self.kept().pop()?;
        let tried = self.restores || self.proven.load(Relaxed);
        (tried || repeatable || instance.is_new()).then_some(instance)
    }

    /// Puts one there before any was asked for.
    pub fn put(&self, instance: Instance) {
        self.kept().push((instance, Instant::now()));
    }

    /// An instance has answered a second request.
    pub fn prove(&self) {
        self.proven.store(true, Relaxed);
    }

    /// Keeps an instance that has answered, for as long as it may be of use.
    pub fn keep(self: &Arc<Self>, mut instance: Instance) {
        if instance.answered() >= self.reuse.requests || self.spoiled.load(Relaxed) {
            return;
        }
        if self.restores {
            if !instance.can_reset() {
                return;
            }
            instance.release_locks();
            if !self.tidied.swap(true, Relaxed) {
                tokio::task::spawn_local(tidy(self.clone()));
            }
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

    /// Gives up all that wait.
    pub fn clear(&self) {
        let kept = std::mem::take(&mut *self.kept());
        drop(kept);
    }

    fn kept(&self) -> MutexGuard<'_, Vec<(Instance, Instant)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts back what waits, when there is nothing more urgent: the answer that was given goes first.
async fn tidy(pool: Arc<InstancePool>) {
    yield_now().await;
    pool.tidied.store(false, Relaxed);
    let mut kept = pool.kept();
    kept.retain_mut(|(instance, _)| instance.reset().is_ok());
}

/// Drops what has waited for too long, until nothing does. Where instances are put back the last is not dropped,
/// but takes no memory from then on: it is there for the next request.
async fn sweep(pool: Arc<InstancePool>) {
    loop {
        tokio::time::sleep(pool.reuse.idle).await;
        let mut kept = pool.kept();
        let last = kept.pop();
        kept.retain(|(_, since)| since.elapsed() < pool.reuse.idle);
        if let Some((mut instance, since)) = last {
            let waits = since.elapsed() < pool.reuse.idle;
            if waits || (pool.restores && instance.release_memory().is_ok()) {
                kept.push((instance, since));
            }
            if waits {
                continue;
            }
        }
        pool.swept.store(false, Relaxed);
        drop(kept);
        memory::collect();
        return;
    }
}
