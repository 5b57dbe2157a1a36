//! `InstanceMemory` counts what one instance takes: its linear memories, its tables, and what the host holds for it
//! on the heap. It refuses what goes beyond `--max-memory`.

use super::worker::{RunningGuard, WorkerMemory};
use crate::guest::failure::{Failure, NoRoom};
use crate::sys::heap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use wasmtime::{ResourceLimiterAsync, Result};

/// An element of a table takes this many bytes.
const TABLE_ELEMENT: usize = size_of::<usize>();

/// `InstanceMemory` counts the bytes of one instance. One thread uses it, but the engine requires that it is `Sync`.
pub struct InstanceMemory {
    limit: usize,
    /// The memories and tables have this many bytes.
    used: AtomicUsize,
    host: heap::Account,
    /// The worker has granted this many of them since the instance was made.
    granted: AtomicUsize,
    /// The guest that runs in the instance has this age.
    age: AtomicU64,
    /// The instance was refused memory.
    refused: AtomicBool,
    worker: Arc<WorkerMemory>,
}

/// The host holds more for an instance than the instance may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostExcess;

impl fmt::Display for HostExcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the host holds too much for it")
    }
}

impl std::error::Error for HostExcess {}

impl From<HostExcess> for Failure {
    fn from(excess: HostExcess) -> Failure {
        Failure::Trapped {
            error: excess.into(),
            refused_memory: true,
            core_dump: None,
        }
    }
}

impl InstanceMemory {
    /// Begins to count for an instance that may have `limit` bytes.
    pub fn new(limit: u64, worker: &Arc<WorkerMemory>) -> Arc<InstanceMemory> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let memory = InstanceMemory {
            limit: limit.min(worker.most()),
            used: AtomicUsize::new(0),
            host: heap::Account::open(),
            granted: AtomicUsize::new(0),
            age: AtomicU64::new(0),
            refused: AtomicBool::new(false),
            worker: worker.clone(),
        };
        memory.host.allow(memory.limit);
        Arc::new(memory)
    }

    /// Returns what the instances of the worker take together.
    pub fn worker(&self) -> &Arc<WorkerMemory> {
        &self.worker
    }

    /// Notes that a guest begins to run in the instance.
    pub fn begin(&self) -> RunningGuard {
        let running_guard = RunningGuard::new(&self.worker);
        self.age.store(running_guard.age(), Relaxed);
        running_guard
    }

    /// Counts the bytes of the memories and tables.
    pub fn used(&self) -> usize {
        self.used.load(Relaxed)
    }

    /// Sets the bytes of the memories and tables, which the instance has whoever asked for them.
    pub fn set_used(&self, bytes: usize) {
        self.used.store(bytes, Relaxed);
        self.host.allow(self.limit.saturating_sub(bytes));
    }

    /// Sets the bytes of an instance that was restored, and gives back what its worker has granted it since it was
    /// made.
    pub fn reset(&self, bytes: usize) {
        self.worker.give_back(self.granted.swap(0, Relaxed));
        self.set_used(bytes);
    }

    /// Computes how many bytes the instance may still take.
    pub fn left(&self) -> usize {
        let taken = self.used().saturating_add(self.host.bytes());
        self.limit.saturating_sub(taken)
    }

    /// Runs the guest, or the host on its behalf, and counts what that allocates as the instance's.
    pub fn pay<T>(&self, run: impl FnOnce() -> T) -> T {
        self.host.pay(run)
    }

    /// Fails where the host holds too much for the instance. The engine asks whenever it interrupts the guest.
    pub fn check(&self) -> Result<(), HostExcess> {
        if !self.host.has_excess() {
            return Ok(());
        }
        self.refuse();
        Err(HostExcess)
    }

    /// Notes that the instance was refused memory.
    pub fn refuse(&self) {
        self.refused.store(true, Relaxed);
    }

    /// Takes this many bytes more where the limit allows it.
    fn grow(&self, bytes: usize) -> bool {
        let fits = bytes <= self.left();
        match fits {
            true => self.set_used(self.used() + bytes),
            false => self.refuse(),
        }
        fits
    }

    /// Grows a memory or a table from `current` to `desired` bytes, and waits until its worker can grant them. The
    /// bytes that it begins with need no grant: most of them are never touched.
    async fn grow_to(&self, current: usize, desired: usize) -> Result<bool, NoRoom> {
        let bytes = desired.saturating_sub(current);
        if !self.grow(bytes) {
            return Ok(false);
        }
        if current > 0 {
            self.worker.grant(self.age.load(Relaxed), bytes).await?;
            self.granted.fetch_add(bytes, Relaxed);
        }
        Ok(true)
    }

    /// Forgets that the instance was refused memory.
    pub fn forgive(&self) {
        self.refused.store(false, Relaxed);
    }

    /// Says whether the instance was refused memory: a trap that follows is most likely the guest's allocator giving
    /// up.
    pub fn refused(&self) -> bool {
        self.refused.load(Relaxed)
    }
}

impl Drop for InstanceMemory {
    fn drop(&mut self) {
        self.worker.give_back(self.granted.load(Relaxed));
    }
}

/// The engine asks the `Limiter` before an instance grows. A guest that asks for more than it may have sees
/// `memory.grow` and `table.grow` return -1, as on a machine without memory; one that asks for more than its worker
/// has left waits.
pub struct Limiter(pub Arc<InstanceMemory>);

#[wasmtime_wasi::async_trait]
impl ResourceLimiterAsync for Limiter {
    async fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> Result<bool> {
        Ok(self.0.grow_to(current, desired).await?)
    }

    async fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> Result<bool> {
        let [current, desired] =
            [current, desired].map(|elements| elements.saturating_mul(TABLE_ELEMENT));
        Ok(self.0.grow_to(current, desired).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    const PAGE: usize = 1 << 16;

    /// Resolves a future that must not wait for a neighbour.
    fn at_once<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => result,
            Poll::Pending => panic!("it waits"),
        }
    }

    fn memory(limit: usize) -> Arc<InstanceMemory> {
        InstanceMemory::new(limit as u64, &WorkerMemory::unbounded())
    }

    #[test]
    fn memories_and_tables_of_an_instance_count_together() {
        let memory = memory(3 * PAGE);
        let mut limiter = Limiter(memory.clone());
        let mut grows = |from, to| at_once(limiter.memory_growing(from, to, None)).unwrap();
        assert!(grows(0, PAGE) && grows(0, PAGE));
        let mut limiter = Limiter(memory.clone());
        let mut table = |from, to| at_once(limiter.table_growing(from, to, None)).unwrap();
        assert!(table(0, PAGE / 8));
        assert!(!memory.refused());
        assert!(!table(PAGE / 8, PAGE / 8 + 1));
        assert!(memory.refused());
    }

    #[test]
    fn what_the_host_holds_is_of_the_same_account() {
        let memory = memory(3 * PAGE);
        let held = memory.pay(|| vec![0_u8; 2 * PAGE]);
        let mut limiter = Limiter(memory.clone());
        assert!(!at_once(limiter.memory_growing(0, 2 * PAGE, None)).unwrap());
        assert!(at_once(limiter.memory_growing(0, PAGE, None)).unwrap());
        assert_eq!(memory.check(), Ok(()));
        let more = memory.pay(|| vec![0_u8; 10]);
        assert_eq!(memory.check(), Err(HostExcess));
        drop((held, more));
        assert_eq!(memory.check(), Ok(()));
    }
}
