//! The epoch thread interrupts guests: it advances the engine's epoch while requests are in flight, and sleeps while
//! there are none.

use crate::guest::memory::worker::WorkerMemory;
use crate::sys::limits;
use anyhow::{Context, Result};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::Duration;
use wasmtime::{Engine, EngineWeak};

/// A guest may run for this long before others get a time slice.
const TICK: Duration = Duration::from_millis(5);

/// The ticks are so short while some guest needs more than one time slice, so that its neighbours hardly notice.
const SHORT_TICK: Duration = Duration::from_micros(500);

/// This many ticks stay short after the last time that a guest needed it.
const SHORT_TICKS: u32 = 20;

/// The thread goes to sleep when there was no request for this long.
const IDLE: Duration = Duration::from_secs(1);

/// `EpochThread` is a handle to the thread.
pub struct EpochThread {
    engine: EngineWeak,
    shared: Arc<Shared>,
    thread: OnceLock<Thread>,
}

#[derive(Default)]
struct Shared {
    used: AtomicBool,
    hurried: AtomicBool,
    asleep: AtomicBool,
}

impl EpochThread {
    /// Prepares a thread that does not tick yet.
    pub fn new(engine: &Engine) -> EpochThread {
        EpochThread {
            engine: engine.weak(),
            shared: Arc::default(),
            thread: OnceLock::new(),
        }
    }

    /// Starts the thread, which also reads how much memory the worker uses.
    pub fn start(&self, memory: Arc<WorkerMemory>) -> Result<()> {
        let weak = self.engine.clone();
        let seen = self.shared.clone();
        let tick = move || {
            let mut idle = Duration::ZERO;
            let mut short = 0;
            while let Some(engine) = weak.upgrade() {
                memory.look();
                engine.increment_epoch();
                let tick = seen.tick(&mut short);
                idle = if seen.used.swap(false, Ordering::SeqCst) {
                    Duration::ZERO
                } else {
                    idle + tick
                };
                if idle >= IDLE {
                    seen.sleep();
                    idle = Duration::ZERO;
                }
                std::thread::sleep(tick);
            }
        };
        let handle = limits::spawn("epoch", tick).context("cannot start the epoch thread")?;
        self.thread.get_or_init(|| handle.thread().clone());
        Ok(())
    }

    /// Keeps the thread ticking for another second at least, because a guest is about to run or still runs.
    pub fn keep_ticking(&self) {
        self.shared.used.store(true, Ordering::SeqCst);
        if self.shared.asleep.load(Ordering::SeqCst) {
            self.shared.asleep.store(false, Ordering::SeqCst);
            if let Some(thread) = self.thread.get() {
                thread.unpark();
            }
        }
    }

    /// Shortens the next ticks, because a guest waits for its next time slice.
    pub fn shorten_ticks(&self) {
        self.shared.hurried.store(true, Ordering::SeqCst);
    }
}

impl Shared {
    /// Chooses the length of the next tick, and counts down how many more are to be short. A guest asks for short
    /// ticks only some time after the tick that interrupted it.
    fn tick(&self, short: &mut u32) -> Duration {
        if self.hurried.swap(false, Ordering::SeqCst) {
            *short = SHORT_TICKS;
        }
        if *short == 0 {
            return TICK;
        }
        *short -= 1;
        SHORT_TICK
    }

    fn sleep(&self) {
        self.asleep.store(true, Ordering::SeqCst);
        while self.asleep.load(Ordering::SeqCst) && !self.used.load(Ordering::SeqCst) {
            std::thread::park();
        }
        self.asleep.store(false, Ordering::SeqCst);
    }
}
