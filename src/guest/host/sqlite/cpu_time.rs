//! `CpuTime` bounds the processor time of a guest's statements, which run in threads.

use crate::sys::clock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// A `CpuTime` is that of one connection, which one thread uses at a time.
pub struct CpuTime {
    /// The thread stops when its clock of processor time shows this many nanoseconds.
    until: AtomicU64,
}

impl CpuTime {
    pub fn unbounded() -> CpuTime {
        CpuTime {
            until: AtomicU64::new(u64::MAX),
        }
    }

    /// Says, in the thread that works, whether there is none left.
    pub fn is_used_up(&self) -> bool {
        // The clock is a system call.
        let until = self.until.load(Relaxed);
        until != u64::MAX && clock::thread_cpu_ns() >= until
    }

    /// Works, for no more than this, and says how much that took.
    pub fn measure<T>(&self, most: Duration, work: impl FnOnce() -> T) -> (T, Duration) {
        let begun = clock::thread_cpu_ns();
        let most = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
        self.until.store(begun.saturating_add(most), Relaxed);
        let done = work();
        self.until.store(u64::MAX, Relaxed);
        (done, Duration::from_nanos(clock::thread_cpu_ns() - begun))
    }
}
