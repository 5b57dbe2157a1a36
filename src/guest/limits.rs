//! The operator limits what instances take: memory, processor time, and requests.

use super::engine::Effort;
use anyhow::{Result, ensure};
use std::num::NonZeroUsize;
use std::time::Duration;

/// `GuestLimits` bounds what each instance takes, and what all of a worker take together.
#[derive(Clone, Copy, Debug)]
pub struct GuestLimits {
    /// This many instances may be alive at a time in one worker.
    pub instances: u32,
    /// This many more may serve WebSockets, where the component takes them.
    pub websockets: u32,
    /// One instance may have this many bytes: its memories, its tables, and what the host holds for it.
    pub memory: u64,
    /// The code was made with this effort, which decides how much native stack it may use.
    pub effort: Effort,
    /// All instances of one worker may have this many bytes together.
    pub worker_memory: u64,
    /// The worker's memory is each one's share of what this many workers have; none where the operator named it.
    pub sharers: Option<NonZeroUsize>,
    /// A request waits for this long for memory.
    pub memory_timeout: Duration,
    /// A request may use this much processor time.
    pub cpu: Duration,
    pub reuse: Reuse,
    /// Instances that trap are looked at, for core dumps of them.
    pub core_dumps: bool,
}

/// A guest with memory to spare may hand this many bytes to the host in one call.
const CALL: u64 = 128 << 20;

impl GuestLimits {
    /// Limits the bytes that a guest hands to the host in one call: the guest holds them as well, and both copies
    /// count.
    pub fn each_call(&self) -> usize {
        usize::try_from(CALL.min(self.memory / 2)).unwrap_or(usize::MAX)
    }

    /// Refuses a component whose instances start with more memory than they may have.
    pub fn admit(&self, memory: u64) -> Result<()> {
        let may = self.memory;
        ensure!(
            memory <= may,
            "an instance starts with {memory} bytes of memory and may have {may}; raise --max-memory"
        );
        Ok(())
    }
}

/// `Reuse` says how long an instance is used.
#[derive(Clone, Copy, Debug)]
pub struct Reuse {
    /// One instance answers this many requests; with one, every request has an instance of its own.
    pub requests: u64,
    /// An instance waits for this long for its next request.
    pub idle: Duration,
    /// An instance answers this many requests at a time.
    pub concurrency: usize,
}
