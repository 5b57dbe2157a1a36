//! What the instances of one worker take together, and who waits when that is too much. Looks at what the process
//! really has in memory, so that what nobody touches costs nothing.

use crate::sys::memory::{Resident, collect};
use crate::warning;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
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
    most: usize,
    /// From here on nobody goes on but the one who is alone.
    full: usize,
    /// How long somebody waits for room.
    patience: Duration,
    /// None where there is no bound.
    resident: Option<Resident>,
    /// Bytes, when they were last looked at.
    last: AtomicUsize,
    running: AtomicUsize,
    waiting: AtomicUsize,
    freed: Notify,
    relief: OnceLock<Relief>,
    is_told: AtomicBool,
}

/// Gives up what nobody needs now.
type Relief = Box<dyn Fn() + Send + Sync>;

/// There was no memory left for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom;

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the worker's instances take all the memory that they may (--max-worker-memory)"
        )
    }
}

impl std::error::Error for NoRoom {}

impl WorkerMemory {
    /// At most so many bytes, of which one instance may have `each`; whoever needs more waits for so long.
    pub fn bounded(most: u64, each: u64, patience: Duration) -> Arc<WorkerMemory> {
        let [most, each] = [most, each].map(|size| usize::try_from(size).unwrap_or(usize::MAX));
        let memory = WorkerMemory {
            most,
            full: most - each.min(most / MARGIN),
            patience,
            resident: Resident::open().ok(),
            ..WorkerMemory::without_bound()
        };
        memory.look();
        Arc::new(memory)
    }

    /// For a guest that has no neighbours.
    pub fn unbounded() -> Arc<WorkerMemory> {
        Arc::new(WorkerMemory::without_bound())
    }

    fn without_bound() -> WorkerMemory {
        WorkerMemory {
            most: usize::MAX,
            full: usize::MAX,
            patience: Duration::ZERO,
            resident: None,
            last: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
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
        self.most
    }

    /// Looks at what the process has.
    pub fn look(&self) -> usize {
        let Some(Ok(bytes)) = self.resident.as_ref().map(Resident::bytes) else {
            return 0;
        };
        self.last.store(bytes, Relaxed);
        bytes
    }

    /// Whether there was too much when somebody looked last, a few milliseconds ago.
    pub fn is_full(&self) -> bool {
        self.last.load(Relaxed) > self.full
    }

    /// Resolves when a request may begin.
    pub async fn admit(&self) -> Result<(), NoRoom> {
        if !self.is_full() {
            return Ok(());
        }
        self.wait(|| self.is_full_now() && self.running.load(Relaxed) > 0)
            .await
    }

    /// Resolves when a guest that runs may go on.
    pub async fn resume(&self) -> Result<(), NoRoom> {
        self.wait_inside(|| self.is_full_now()).await
    }

    /// Resolves when a guest that runs may have so many bytes more.
    pub async fn make_room(&self, bytes: usize) -> Result<(), NoRoom> {
        if bytes < SMALL && !self.is_full() {
            return Ok(());
        }
        self.wait_inside(|| {
            let after = self.look().saturating_add(bytes);
            after > self.most || self.is_full()
        })
        .await
    }

    fn is_full_now(&self) -> bool {
        self.look();
        self.is_full()
    }

    /// The same as `wait`, for one of those who hold memory: were all of them to wait, nobody would give any back.
    async fn wait_inside(&self, lacks: impl Fn() -> bool) -> Result<(), NoRoom> {
        if self.resident.is_none() {
            return Ok(());
        }
        let others = || self.running.load(Relaxed) > 1;
        if !lacks() || !others() {
            return Ok(());
        }
        self.relieve();
        if self.waiting.load(Relaxed) + 1 >= self.running.load(Relaxed) && lacks() {
            return Err(NoRoom);
        }
        let _waits = Counted::new(&self.waiting);
        self.wait(|| lacks() && others()).await
    }

    async fn wait(&self, lacks: impl Fn() -> bool) -> Result<(), NoRoom> {
        let deadline = Instant::now() + self.patience;
        loop {
            if !lacks() {
                return Ok(());
            }
            self.relieve();
            if !lacks() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(NoRoom);
            }
            self.tell();
            let _ = timeout(LOOK, self.freed.notified()).await;
        }
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
                self.last.load(Relaxed) >> 20,
                self.most >> 20
            );
        }
    }
}

/// A guest that runs.
pub struct Presence(Arc<WorkerMemory>);

impl Presence {
    pub fn new(memory: &Arc<WorkerMemory>) -> Presence {
        memory.running.fetch_add(1, Relaxed);
        Presence(memory.clone())
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Relaxed);
        if self.0.is_full() {
            self.0.freed.notify_waiters();
        }
    }
}

/// One of those that a counter counts.
struct Counted<'a>(&'a AtomicUsize);

impl Counted<'_> {
    fn new(count: &AtomicUsize) -> Counted<'_> {
        count.fetch_add(1, Relaxed);
        Counted(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(future: impl Future<Output = T>) -> T {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().build().unwrap().block_on(future)
    }

    /// One that is full whatever happens: it may have nothing at all.
    fn full() -> Arc<WorkerMemory> {
        WorkerMemory::bounded(0, 0, Duration::from_millis(1))
    }

    #[test]
    fn without_a_bound_nobody_waits() {
        let memory = WorkerMemory::unbounded();
        let _both = [(); 2].map(|()| Presence::new(&memory));
        run(async {
            assert_eq!(memory.admit().await, Ok(()));
            assert_eq!(memory.make_room(usize::MAX).await, Ok(()));
        });
    }

    #[test]
    fn who_is_alone_goes_on() {
        let memory = full();
        run(async {
            assert_eq!(memory.admit().await, Ok(()));
            let _alone = Presence::new(&memory);
            assert_eq!(memory.resume().await, Ok(()));
            assert_eq!(memory.admit().await, Err(NoRoom));
        });
    }

    #[test]
    fn not_all_of_them_wait() {
        let memory = WorkerMemory::bounded(0, 0, Duration::from_secs(3600));
        let _both = [(); 2].map(|()| Presence::new(&memory));
        run(async {
            let mut first = std::pin::pin!(memory.resume());
            tokio::select! {
                biased;
                _ = &mut first => panic!("it did not wait"),
                () = std::future::ready(()) => {}
            }
            assert_eq!(memory.resume().await, Err(NoRoom));
        });
    }
}
