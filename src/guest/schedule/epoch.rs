//! The clock that interrupts guests: a thread that advances the engine's epoch while requests are in
//! flight and sleeps while there are none.

use crate::guest::memory::worker::WorkerMemory;
use anyhow::{Context, Result};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{Builder, Thread};
use std::time::Duration;
use wasmtime::{Engine, EngineWeak};

/// How long a guest may run before others get their turn.
const TICK: Duration = Duration::from_millis(5);

/// The same while some guest needs more than one turn, so that its neighbours hardly notice.
const SHORT_TICK: Duration = Duration::from_micros(500);

/// How many ticks are short since the last time that one was needed.
const SHORT_TICKS: u32 = 20;

/// How long there must be no request before the thread goes to sleep.
const IDLE: Duration = Duration::from_secs(1);

/// Handle to the ticking thread.
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
    /// One that does not tick yet.
    pub fn new(engine: &Engine) -> EpochThread {
        EpochThread {
            engine: engine.weak(),
            shared: Arc::default(),
            thread: OnceLock::new(),
        }
    }

    /// Begins to tick, in a thread of its own, which looks at what the worker has in memory too.
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
        let thread = Builder::new().name("epoch".to_owned());
        let handle = thread
            .spawn(tick)
            .context("cannot start the epoch thread")?;
        self.thread.get_or_init(|| handle.thread().clone());
        Ok(())
    }

    /// Says that a guest is about to run, or still runs: the clock ticks on for a second at least.
    pub fn keep_ticking(&self) {
        self.shared.used.store(true, Ordering::SeqCst);
        if self.shared.asleep.load(Ordering::SeqCst) {
            self.shared.asleep.store(false, Ordering::SeqCst);
            if let Some(thread) = self.thread.get() {
                thread.unpark();
            }
        }
    }

    /// Says that a guest is kept from going on, so that others get their turn.
    pub fn shorten_ticks(&self) {
        self.shared.hurried.store(true, Ordering::SeqCst);
    }
}

impl Shared {
    /// The next tick, where so many more are to be short. A guest says that it is kept from going on only some
    /// time after the tick that kept it.
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
