//! `WorkerMemory` counts what the instances of one worker take together, and decides who waits when that is too much.
//! It counts the memory that the process really uses, so that pages which instances never touch cost nothing; but
//! growth counts from the moment when it is granted.

use crate::guest::failure::NoRoom;
use crate::sys::memory::{Resident, collect};
use crate::warning;
use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

/// The worker keeps one part in this many of the bound, at most, for what guests touch between two looks.
const MARGIN: usize = 4;

/// A smaller growth does not cause a look of its own.
const SMALL: usize = 1 << 20;

/// A guest that waits looks again after this time: memory comes back in more ways than it is told of.
const LOOK: Duration = Duration::from_millis(20);

/// `WorkerMemory` counts the bytes of one worker.
pub struct WorkerMemory {
    /// The process may have this many bytes.
    most: AtomicUsize,
    /// Above this many bytes no request begins, unless it is the only one.
    full: AtomicUsize,
    /// One instance may have this many of these bytes.
    each: usize,
    /// All workers may have this many bytes together, where each is to have its share.
    shared: Option<usize>,
    /// A request waits for this long for memory.
    timeout: Duration,
    /// The counter is `None` where there is no bound.
    resident: Option<Resident>,
    /// The process had this many bytes before there was any instance.
    base: usize,
    last: AtomicUsize,
    /// Instances have grown by this many bytes since they were made.
    granted: AtomicUsize,
    running: AtomicUsize,
    begun: AtomicU64,
    waiters: Mutex<Waiters>,
    freed: Notify,
    relief: OnceLock<Relief>,
    is_told: AtomicBool,
}

/// A `Relief` gives up memory that nobody needs now.
type Relief = Box<dyn Fn() + Send + Sync>;

impl WorkerMemory {
    /// Bounds the worker to `most` bytes, of which one instance may have `each`; a request that needs more waits for
    /// this long.
    pub fn bounded(most: u64, each: u64, timeout: Duration) -> Arc<WorkerMemory> {
        let [most, each] = [most, each].map(|size| usize::try_from(size).unwrap_or(usize::MAX));
        let mut memory = WorkerMemory {
            each,
            timeout,
            resident: Resident::open().ok(),
            ..WorkerMemory::without_bound()
        };
        memory.set_most(most);
        memory.base = memory.look();
        Arc::new(memory)
    }

    /// Bounds the worker to the share that each of this many workers has.
    pub fn shared(
        most: u64,
        each: u64,
        timeout: Duration,
        workers: NonZeroUsize,
    ) -> Arc<WorkerMemory> {
        let mut memory = WorkerMemory::bounded(most, each, timeout);
        if let Some(memory) = Arc::get_mut(&mut memory) {
            memory.shared = Some(memory.most().saturating_mul(workers.get()));
        }
        memory
    }

    /// Notes that there are this many workers now.
    pub fn share_among(&self, workers: NonZeroUsize) {
        if let Some(all) = self.shared {
            self.set_most(all / workers);
        }
    }

    fn set_most(&self, most: usize) {
        self.most.store(most, Relaxed);
        let full = most - self.each.min(most / MARGIN);
        self.full.store(full, Relaxed);
    }

    /// Counts nothing, for a guest that has no neighbours.
    pub fn unbounded() -> Arc<WorkerMemory> {
        Arc::new(WorkerMemory::without_bound())
    }

    fn without_bound() -> WorkerMemory {
        WorkerMemory {
            most: AtomicUsize::new(usize::MAX),
            full: AtomicUsize::new(usize::MAX),
            each: 0,
            shared: None,
            timeout: Duration::ZERO,
            resident: None,
            base: 0,
            last: AtomicUsize::new(0),
            granted: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
            begun: AtomicU64::new(0),
            waiters: Mutex::default(),
            freed: Notify::new(),
            relief: OnceLock::new(),
            is_told: AtomicBool::new(false),
        }
    }

    /// Sets what gives up memory before anybody has to wait.
    pub fn on_need(&self, relief: impl Fn() + Send + Sync + 'static) {
        self.relief.get_or_init(|| Box::new(relief));
    }

    /// Returns the bytes that the process may have.
    pub fn most(&self) -> usize {
        self.most.load(Relaxed)
    }

    /// Reads how much memory the process uses.
    pub fn look(&self) -> usize {
        let Some(Ok(bytes)) = self.resident.as_ref().map(Resident::bytes) else {
            return 0;
        };
        self.last.store(bytes, Relaxed);
        bytes
    }

    /// Estimates the bytes that are taken: the last reading may be some milliseconds old.
    fn taken(&self) -> usize {
        let granted = self.base.saturating_add(self.granted.load(Relaxed));
        self.last.load(Relaxed).max(granted)
    }

    /// Says whether there is too little memory for another request.
    pub fn is_full(&self) -> bool {
        self.taken() > self.full.load(Relaxed)
    }

    /// Says whether there is too little memory for the guests that run.
    pub fn is_exceeded(&self) -> bool {
        self.last.load(Relaxed) > self.most()
    }

    /// Resolves when a request may begin.
    pub async fn admit(&self) -> Result<(), NoRoom> {
        if !self.is_full() {
            return Ok(());
        }
        let lacks = || {
            self.look();
            self.is_full() && self.running.load(Relaxed) > 0
        };
        self.wait(lacks, || false).await
    }

    /// Resolves when the guest of this age may go on.
    pub async fn resume(&self, age: Age) -> Result<(), NoRoom> {
        let lacks = || {
            self.look();
            self.is_exceeded()
        };
        self.wait_by_age(age, lacks).await
    }

    /// Resolves when the guest of this age may have this many bytes more, which it has until it gives them back.
    pub async fn grant(&self, age: Age, bytes: usize) -> Result<(), NoRoom> {
        let lacks = || {
            if bytes >= SMALL {
                self.look();
            }
            self.taken().saturating_add(bytes) > self.most()
        };
        self.wait_by_age(age, lacks).await?;
        self.granted.fetch_add(bytes, Relaxed);
        Ok(())
    }

    /// Takes back bytes that were granted.
    pub fn give_back(&self, bytes: usize) {
        if bytes > 0 {
            self.granted.fetch_sub(bytes, Relaxed);
            self.freed.notify_waiters();
        }
    }

    /// Waits for memory together with the other guests that hold some. As soon as there is a little, the oldest goes
    /// on; the others go on when there is enough for all. If all of them waited, nobody would give any back: then the
    /// youngest is ended.
    async fn wait_by_age(&self, age: Age, lacks: impl Fn() -> bool) -> Result<(), NoRoom> {
        let is_alone = || self.running.load(Relaxed) <= 1;
        let may_go = || {
            self.waiters()
                .oldest_but(age)
                .is_none_or(|first| age < first)
                || !self.is_full()
        };
        if self.resident.is_none() || is_alone() || (!lacks() && may_go()) {
            return Ok(());
        }
        let _place = WaiterGuard::take(self, age);
        let is_lost = || {
            let waiters = self.waiters();
            waiters.0.len() >= self.running.load(Relaxed) && waiters.0.last() == Some(&age)
        };
        self.wait(|| !is_alone() && (lacks() || !may_go()), is_lost)
            .await
    }

    fn waiters(&self) -> MutexGuard<'_, Waiters> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn wait(
        &self,
        lacks: impl Fn() -> bool,
        is_lost: impl Fn() -> bool,
    ) -> Result<(), NoRoom> {
        let deadline = Instant::now() + self.timeout;
        while lacks() {
            self.relieve();
            if !lacks() {
                break;
            }
            if is_lost() || Instant::now() >= deadline {
                return Err(NoRoom);
            }
            self.tell();
            let _ = timeout(LOOK, self.freed.notified()).await;
        }
        Ok(())
    }

    fn relieve(&self) {
        if let Some(relief) = self.relief.get() {
            relief();
        }
        collect();
    }

    /// Warns, once, that requests wait for memory.
    fn tell(&self) {
        if !self.is_told.swap(true, Relaxed) {
            warning!(
                "requests wait for memory: this worker has {} MiB in use, of the {} MiB that it may have \
                 (--max-worker-memory)",
                self.taken() >> 20,
                self.most() >> 20
            );
        }
    }
}

/// An `Age` orders the guests of a worker by when they began: the oldest has the smallest.
pub type Age = u64;

/// `Waiters` holds the ages of the guests that hold memory and wait for more.
#[derive(Default)]
struct Waiters(BTreeSet<Age>);

impl Waiters {
    fn oldest_but(&self, age: Age) -> Option<Age> {
        self.0.iter().copied().find(|other| *other != age)
    }
}

/// A `WaiterGuard` keeps a guest among the waiters until it is dropped.
struct WaiterGuard<'a> {
    memory: &'a WorkerMemory,
    age: Age,
}

impl WaiterGuard<'_> {
    fn take(memory: &WorkerMemory, age: Age) -> WaiterGuard<'_> {
        memory.waiters().0.insert(age);
        memory.freed.notify_waiters();
        WaiterGuard { memory, age }
    }
}

impl Drop for WaiterGuard<'_> {
    fn drop(&mut self) {
        self.memory.waiters().0.remove(&self.age);
        self.memory.freed.notify_waiters();
    }
}

/// A `RunningGuard` counts a guest as running until it is dropped.
pub struct RunningGuard {
    memory: Arc<WorkerMemory>,
    age: Age,
}

impl RunningGuard {
    pub fn new(memory: &Arc<WorkerMemory>) -> RunningGuard {
        memory.running.fetch_add(1, Relaxed);
        RunningGuard {
            memory: memory.clone(),
            age: memory.begun.fetch_add(1, Relaxed),
        }
    }

    pub fn age(&self) -> Age {
        self.age
    }
}

impl Drop for RunningGuard {
    fn drop(&mut self) {
        self.memory.running.fetch_sub(1, Relaxed);
        if self.memory.is_full() {
            self.memory.freed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests;
