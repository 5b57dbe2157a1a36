//! This file reads the clocks that processes share, so that they can compare times.

use nix::time::{ClockId, clock_gettime};

/// Returns milliseconds of CLOCK_MONOTONIC (clock_gettime(2)): the same in every process, never set back, and standing
/// still while the machine is suspended.
pub fn now_ms() -> u64 {
    now_ns() / 1_000_000
}

/// Returns the time in nanoseconds.
pub fn now_ns() -> u64 {
    nanoseconds(ClockId::CLOCK_MONOTONIC)
}

/// Returns for how many nanoseconds this thread has been running.
pub fn thread_cpu_ns() -> u64 {
    nanoseconds(ClockId::CLOCK_THREAD_CPUTIME_ID)
}

/// Returns for how many nanoseconds all threads of this process have been running.
pub fn process_cpu_ns() -> u64 {
    nanoseconds(ClockId::CLOCK_PROCESS_CPUTIME_ID)
}

/// Returns the milliseconds since 1970, as the machine has it now.
pub fn unix_ms() -> u64 {
    nanoseconds(ClockId::CLOCK_REALTIME) / 1_000_000
}

fn nanoseconds(clock: ClockId) -> u64 {
    let now = clock_gettime(clock).expect("Linux has this clock");
    now.tv_sec().cast_unsigned() * 1_000_000_000 + now.tv_nsec().cast_unsigned()
}
