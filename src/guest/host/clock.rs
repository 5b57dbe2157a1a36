//! The monotonic clock of guests is the machine's: it goes on where a snapshot was taken in another process, and never
//! back.

use crate::sys::clock;
use wasmtime_wasi::clocks::HostMonotonicClock;

/// `MachineClock` tells the time since the machine was started.
pub struct MachineClock;

impl HostMonotonicClock for MachineClock {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        clock::now_ns()
    }
}
