//! The pool keeps instances that have answered a request for the next one: restored, or as they are where the operator
//! has allowed that.

use super::serial::Instance;
use crate::guest::counts::Counts;
use crate::guest::limits::Reuse;
use crate::scoreboard::DropReason;
use crate::sys::{clock, memory};
use crate::warning;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::{spawn_local, yield_now};

/// An instance is restored this often, at most: what the engine keeps of its past would add up.
const MOST_RESETS: u64 = 100_000;

/// An instance waits for this long to be used again: a burst of requests leaves many, which take memory.
const REST: Duration = Duration::from_secs(2);

/// An `InstancePool` belongs to one worker.
pub struct InstancePool {
    reuse: Reuse,
    mode: ReuseMode,
    counts: Arc<Counts>,
    /// One thread uses the pool, but the engine requires a lock.
    state: Mutex<PoolState>,
}

/// A `ReuseMode` says what an instance is when it answers again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReuseMode {
    /// Each request finds an instance that is as it was when it was made.
    Restored,
    /// The next request finds an instance as the last one left it, as the operator wants it.
    AsLeft,
}

struct PoolState {
    /// The instance that was used last comes last: its memory is warm. Each has waited since then, in milliseconds.
    kept: Vec<(Instance, u64)>,
    second_request: SecondRequest,
    restoring: Upkeep,
    sweeping: Upkeep,
}

/// `SecondRequest` says whether this component's instances answer a second request, which not all toolchains see to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SecondRequest {
    Untried,
    Answered,
    Unanswered,
}

/// `Upkeep` says whether a task is on its way that looks after the instances in the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Upkeep {
    None,
    Scheduled,
}

impl Upkeep {
    /// Schedules the task, and says whether it has to be started for that.
    fn schedule(&mut self) -> bool {
        std::mem::replace(self, Upkeep::Scheduled) == Upkeep::None
    }
}

impl InstancePool {
    /// Returns `None` where no instance is used twice: neither can it be restored, nor may it answer again. A bridge of
    /// ours is known to answer again.
    pub fn new(
        reuse: Reuse,
        can_reset: bool,
        has_bridge: bool,
        counts: &Arc<Counts>,
    ) -> Option<Arc<InstancePool>> {
        let (mode, reuse) = match reuse.requests {
            1 if can_reset => {
                let reuse = Reuse {
                    requests: MOST_RESETS,
                    idle: REST,
                    ..reuse
                };
                (ReuseMode::Restored, reuse)
            }
            1 => return None,
            _ => (ReuseMode::AsLeft, reuse),
        };
        let state = PoolState {
            kept: Vec::new(),
            second_request: match has_bridge {
                true => SecondRequest::Answered,
                false => SecondRequest::Untried,
            },
            restoring: Upkeep::None,
            sweeping: Upkeep::None,
        };
        Some(Arc::new(InstancePool {
            reuse,
            mode,
            counts: counts.clone(),
            state: Mutex::new(state),
        }))
    }

    /// Says whether instances are restored before they answer again.
    pub fn restores(&self) -> bool {
        self.mode == ReuseMode::Restored
    }

    /// Takes an instance for a request. Until one instance has answered a second request, only requests that can be
    /// repeated get one as the last request left it; others get one that is restored first, where that can be.
    pub fn take(&self, repeatable: bool) -> Option<Instance> {
        let mut state = self.state();
        let (mut instance, _) = state.kept.pop()?;
        self.counts.pooled(state.kept.len());
        let as_it_is = match state.second_request {
            _ if self.restores() || instance.is_new() => true,
            SecondRequest::Answered => true,
            SecondRequest::Untried => repeatable,
            SecondRequest::Unanswered => false,
        };
        if as_it_is || instance.stand_in(MOST_RESETS) {
            return Some(instance);
        }
        instance.would_end(DropReason::KeptResources);
        None
    }

    /// Puts an instance into the pool that has answered nothing yet.
    pub fn put(&self, instance: Instance) {
        let mut state = self.state();
        state.kept.push((instance, clock::recent_ms()));
        self.counts.pooled(state.kept.len());
    }

    /// Notes that an instance has answered a second request.
    pub fn prove(&self) {
        let mut state = self.state();
        if state.second_request == SecondRequest::Untried {
            state.second_request = SecondRequest::Answered;
        }
    }

    /// Keeps an instance that has answered, for as long as it may be used.
    pub fn keep(self: &Arc<Self>, mut instance: Instance) {
        if instance.answered() >= self.reuse.requests {
            return;
        }
        // Those that only stand in for new ones are looked at when they are taken.
        if self.restores() {
            if !instance.can_reset() {
                instance.would_end(DropReason::KeptResources);
                return;
            }
            instance.release_locks();
        }
        let mut state = self.state();
        state.kept.push((instance, clock::recent_ms()));
        self.counts.pooled(state.kept.len());
        if self.restores() && state.restoring.schedule() {
            spawn_local(restore(self.clone()));
        }
        if state.sweeping.schedule() {
            spawn_local(sweep(self.clone()));
        }
    }

    /// Gives up reuse: an instance gave no answer to a further request, and a fresh one did.
    pub fn spoil(&self) {
        let known = std::mem::replace(&mut self.state().second_request, SecondRequest::Unanswered);
        if known != SecondRequest::Unanswered {
            warning!(
                "an instance gave no answer to its second request, and a fresh one did: its toolchain \
                 makes instances for one request each, and --reuse is left alone from here on"
            );
        }
        self.clear(DropReason::Finished);
    }

    /// Drops all instances in the pool, for this reason.
    pub fn clear(&self, why: DropReason) {
        let mut kept = std::mem::take(&mut self.state().kept);
        let instances = kept.iter_mut().map(|(instance, _)| instance);
        instances.for_each(|instance| instance.would_end(why));
        self.counts.pooled(0);
    }

    fn state(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Restores the instances in the pool when there is nothing more urgent: the answers go first.
async fn restore(pool: Arc<InstancePool>) {
    yield_now().await;
    let mut state = pool.state();
    state.restoring = Upkeep::None;
    state.kept.retain_mut(|(instance, _)| {
        is_kept(instance, DropReason::RestoreFailed, |it| it.reset().is_ok())
    });
    pool.counts.pooled(state.kept.len());
}

/// Drops instances that have waited for too long, until none is left. Where instances are restored the last one stays,
/// for the next request, but gives up its memory.
async fn sweep(pool: Arc<InstancePool>) {
    loop {
        tokio::time::sleep(pool.reuse.idle).await;
        let now = clock::recent_ms();
        let waits = |since| Duration::from_millis(now.saturating_sub(since)) < pool.reuse.idle;
        let mut state = pool.state();
        let last = state.kept.pop();
        state
            .kept
            .retain_mut(|(instance, since)| is_kept(instance, DropReason::Idle, |_| waits(*since)));
        if let Some((mut instance, since)) = last {
            instance.would_end(DropReason::Idle);
            let waits = waits(since);
            if waits || (pool.restores() && instance.release_memory().is_ok()) {
                state.kept.push((instance, since));
            }
            pool.counts.pooled(state.kept.len());
            if waits {
                continue;
            }
        }
        pool.counts.pooled(state.kept.len());
        state.sweeping = Upkeep::None;
        drop(state);
        memory::collect();
        return;
    }
}

/// Judges an instance in the pool, and notes why it is gone where it is not kept.
fn is_kept(
    instance: &mut Instance,
    why: DropReason,
    is_good: impl FnOnce(&mut Instance) -> bool,
) -> bool {
    let good = is_good(instance);
    if !good {
        instance.would_end(why);
    }
    good
}
