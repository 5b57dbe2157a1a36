//! The clock that interrupts guests: a thread that advances the engine's epoch while requests are in
//! flight and sleeps while there are none.

use anyhow::{Context, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, Thread};
use std::time::Duration;
use wasmtime::Engine;

/// How long a guest may run before others get their turn.
const TICK: Duration = Duration::from_millis(10);

/// Ticks without a request after which the thread goes to sleep.
const IDLE_TICKS: u32 = 100;

/// Handle to the ticking thread.
pub struct Ticker {
    used: Arc<AtomicBool>,
    asleep: Arc<AtomicBool>,
    thread: Thread,
}

impl Ticker {
    pub fn start(engine: &Engine) -> Result<Ticker> {
        let used = Arc::new(AtomicBool::new(false));
        let asleep = Arc::new(AtomicBool::new(false));
        let weak = engine.weak();
        let (seen, sleeping) = (used.clone(), asleep.clone());
        let handle = Builder::new()
            .name("epoch".to_owned())
            .spawn(move || {
                let mut idle = 0;
                while let Some(engine) = weak.upgrade() {
                    engine.increment_epoch();
                    idle = if seen.swap(false, Ordering::SeqCst) {
                        0
                    } else {
                        idle + 1
                    };
                    if idle >= IDLE_TICKS {
                        sleep(&seen, &sleeping);
                        idle = 0;
                    }
                    std::thread::sleep(TICK);
                }
            })
            .context("cannot start the epoch thread")?;
        Ok(Ticker {
            used,
            asleep,
            thread: handle.thread().clone(),
        })
    }

    /// Says that a guest is about to run, or still runs: the clock ticks on for a second at least.
    pub fn wind(&self) {
        self.used.store(true, Ordering::SeqCst);
        if self.asleep.load(Ordering::SeqCst) {
            self.asleep.store(false, Ordering::SeqCst);
            self.thread.unpark();
        }
    }
}

fn sleep(used: &AtomicBool, asleep: &AtomicBool) {
    asleep.store(true, Ordering::SeqCst);
    while asleep.load(Ordering::SeqCst) && !used.load(Ordering::SeqCst) {
        std::thread::park();
    }
    asleep.store(false, Ordering::SeqCst);
}
