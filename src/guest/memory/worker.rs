//! What the instances of one worker take together, and who waits when that is too much. That is what the process
//! really has in memory, so that what instances begin with and never touch costs nothing; but what they have asked for
//! since then counts from the moment that they get it.

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

/// How much of the bound is kept for what guests touch between two looks, at most.
const MARGIN: usize = 4;

/// Growth of less is not worth a look of its own.
const SMALL: usize = 1 << 20;

/// How often those who wait look for themselves: memory comes back in more ways than they are told of.
const LOOK: Duration = Duration::from_millis(20);

/// One worker's.
pub struct WorkerMemory {
    /// Bytes that the process may have.
    most: AtomicUsize,
    /// From here on nobody begins but the one who is alone.
    full: AtomicUsize,
    /// What one instance may have of it.
    each: usize,
    /// Bytes that all workers may have together, where each is to have its share.
    shared: Option<usize>,
    /// How long somebody waits for room.
    patience: Duration,
    /// None where there is no bound.
    resident: Option<Resident>,
    /// Bytes before there was any instance, and when they were last looked at.
    base: usize,
    last: AtomicUsize,
    /// Bytes that instances have got beyond what they began with.
    granted: AtomicUsize,
    running: AtomicUsize,
    begun: AtomicU64,
    waiters: Mutex<Waiters>,
    freed: Notify,
    relief: OnceLock<Relief>,
    is_told: AtomicBool,
}

/// Gives up what nobody needs now.
type Relief = Box<dyn Fn() + Send + Sync>;

impl WorkerMemory {
    /// At most so many bytes, of which one instance may have `each`; whoever needs more waits for so long.
    pub fn bounded(most: u64, each: u64, patience: Duration) -> Arc<WorkerMemory> {
        let [most, each] = [most, each].map(|size| usize::try_from(size).unwrap_or(usize::MAX));
        let mut memory = WorkerMemory {
            each,
            patience,
            resident: Resident::open().ok(),
            ..WorkerMemory::without_bound()
        };
        memory.set_most(most);
        memory.base = memory.look();
        Arc::new(memory)
    }

    /// The same, where it is the share that each of so many workers has.
    pub fn shared(
        most: u64,
        each: u64,
        patience: Duration,
        workers: NonZeroUsize,
    ) -> Arc<WorkerMemory> {
        let mut memory = WorkerMemory::bounded(most, each, patience);
        if let Some(memory) = Arc::get_mut(&mut memory) {
            memory.shared = Some(memory.most().saturating_mul(workers.get()));
        }
        memory
    }

    /// There are so many workers now.
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

    /// For a guest that has no neighbours.
    pub fn unbounded() -> Arc<WorkerMemory> {
        Arc::new(WorkerMemory::without_bound())
    }

    fn without_bound() -> WorkerMemory {
        WorkerMemory {
            most: AtomicUsize::new(usize::MAX),
            full: AtomicUsize::new(usize::MAX),
            each: 0,
            shared: None,
            patience: Duration::ZERO,
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

    /// What is called before anybody has to wait.
    pub fn on_need(&self, relief: impl Fn() + Send + Sync + 'static) {
        self.relief.get_or_init(|| Box::new(relief));
    }

    /// Bytes that the process may have.
    pub fn most(&self) -> usize {
        self.most.load(Relaxed)
    }

    /// Looks at what the process has.
    pub fn look(&self) -> usize {
        let Some(Ok(bytes)) = self.resident.as_ref().map(Resident::bytes) else {
            return 0;
        };
        self.last.store(bytes, Relaxed);
        bytes
    }

    /// Bytes that are taken, as far as was known a few milliseconds ago.
    fn taken(&self) -> usize {
        let granted = self.base.saturating_add(self.granted.load(Relaxed));
        self.last.load(Relaxed).max(granted)
    }

    /// Whether there is too little for another request.
    pub fn is_full(&self) -> bool {
        self.taken() > self.full.load(Relaxed)
    }

    /// Whether there is too little for those who run.
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

    /// Resolves when the guest of this age may have so many bytes more, which it then has until it gives them back.
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

    /// Takes back what was granted.
    pub fn give_back(&self, bytes: usize) {
        if bytes > 0 {
            self.granted.fetch_sub(bytes, Relaxed);
            self.freed.notify_waiters();
        }
    }

    /// Waits for memory with those who hold some. As soon as there is a little the oldest goes on, the others when
    /// there is enough for all. Were all of them to wait, nobody would give any back: the youngest is ended then.
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
        let deadline = Instant::now() + self.patience;
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

    /// Says once that somebody waits.
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

/// When a guest began to run, among those of its worker: the oldest comes first.
pub type Age = u64;

/// Those who hold memory and wait for more, by age.
#[derive(Default)]
struct Waiters(BTreeSet<Age>);

impl Waiters {
    fn oldest_but(&self, age: Age) -> Option<Age> {
        self.0.iter().copied().find(|other| *other != age)
    }
}

/// A place among them.
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

/// A guest that runs.
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
