//! What the operator lets instances take: memory, processor time, requests.

use anyhow::{Result, ensure};
use std::num::NonZeroUsize;
use std::time::Duration;

/// What instances may take, for each of them and together.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Instances alive at a time in one worker.
    pub instances: u32,
    /// Bytes of one instance: its memories, its tables, and what the host holds for it.
    pub memory: u64,
    /// Bytes of all instances of one worker.
    pub worker_memory: u64,
    /// How many workers there were to be when that was made each one's share; none where the operator named it.
    pub sharers: Option<NonZeroUsize>,
    /// How long a request waits for some of them.
    pub patience: Duration,
    /// Processor time that a request may burn.
    pub cpu: Duration,
    pub reuse: Reuse,
}

/// What a guest may hand to the host in one call, where it has memory for more.
const CALL: u64 = 128 << 20;

impl Limits {
    /// Bytes that a guest may hand to the host in one call: it has them too, and both count.
    pub fn each_call(&self) -> usize {
        usize::try_from(CALL.min(self.memory / 2)).unwrap_or(usize::MAX)
    }

    /// Says so where an instance may not even begin, with so many bytes of memory.
    pub fn admit(&self, memory: u64) -> Result<()> {
        let may = self.memory;
        ensure!(
            memory <= may,
            "an instance starts with {memory} bytes of memory and may have {may}; raise --max-memory"
        );
        Ok(())
    }
}

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
