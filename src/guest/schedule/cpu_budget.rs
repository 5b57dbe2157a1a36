//! A `CpuBudget` counts the processor time that a guest uses for a request, and says when it is used up.

use crate::guest::failure::Exhausted;
use crate::sys::clock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// A guest that has used this much is measured by the thread's own clock, which costs a system call but does not count
/// other processes on the same processor. Most requests never get here.
const EXACT: Duration = Duration::from_millis(5);

/// A `CpuBudget` counts for one request. The guest's caller and its interrupter share it on one thread, but the
/// engine requires atomics.
pub struct CpuBudget {
    limit: Duration,
    /// The guest had used this many nanoseconds when it was last entered.
    spent: AtomicU64,
    /// The guest was last entered at this time, by whichever clock is read.
    entered: AtomicU64,
    exact: AtomicBool,
}

impl CpuBudget {
    pub fn new(limit: Duration) -> CpuBudget {
        CpuBudget {
            limit,
            spent: AtomicU64::new(0),
            entered: AtomicU64::new(0),
            exact: AtomicBool::new(false),
        }
    }

    /// Runs the guest and counts the time that it uses.
    pub fn measure<T>(&self, run: impl FnOnce() -> T) -> T {
        self.entered.store(self.now(), Relaxed);
        let result = run();
        self.pause();
        result
    }

    /// Begins to count anew, while the guest runs.
    pub fn renew(&self) {
        self.exact.store(false, Relaxed);
        self.entered.store(self.now(), Relaxed);
        self.spent.store(0, Relaxed);
    }

    /// Returns the time that was used until the guest last paused.
    pub fn spent(&self) -> Duration {
        Duration::from_nanos(self.spent.load(Relaxed))
    }

    /// Returns the time that is left, while the guest waits for the host.
    pub fn left(&self) -> Duration {
        self.limit.saturating_sub(self.spent())
    }

    /// Counts time that was used for the guest in another thread.
    pub fn add(&self, used: Duration) {
        let used = u64::try_from(used.as_nanos()).unwrap_or(u64::MAX);
        let spent = self.spent.load(Relaxed).saturating_add(used);
        self.spent.store(spent, Relaxed);
    }

    /// Fails where the budget is used up, while the guest runs.
    pub fn check(&self) -> Result<(), Exhausted> {
        if self.burned() < self.limit {
            Ok(())
        } else {
            Err(Exhausted)
        }
    }

    /// Returns the time that was used until now, while the guest runs.
    pub fn burned(&self) -> Duration {
        self.pause();
        self.entered.store(self.now(), Relaxed);
        self.spent()
    }

    fn pause(&self) {
        let burned = self.now().saturating_sub(self.entered.load(Relaxed));
        let spent = self.spent.load(Relaxed).saturating_add(burned);
        self.spent.store(spent, Relaxed);
        self.exact.store(spent >= EXACT.as_nanos() as u64, Relaxed);
    }

    fn now(&self) -> u64 {
        if self.exact.load(Relaxed) {
            clock::thread_cpu_ns()
        } else {
            clock::now_ns()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn burn(time: Duration) {
        let start = clock::thread_cpu_ns();
        while clock::thread_cpu_ns() - start < time.as_nanos() as u64 {}
    }

    #[test]
    fn what_is_burned_counts_and_what_is_waited_does_not() {
        let budget = CpuBudget::new(Duration::from_millis(500));
        budget.measure(|| burn(Duration::from_millis(20)));
        budget.measure(|| std::thread::sleep(Duration::from_millis(700)));
        let spent = budget.spent();
        assert!(spent >= Duration::from_millis(20), "{spent:?}");
        assert!(spent < Duration::from_millis(500), "{spent:?}");
        budget.measure(|| {
            assert_eq!(budget.check(), Ok(()));
            burn(Duration::from_millis(500));
            assert_eq!(budget.check(), Err(Exhausted));
        });
    }
}
