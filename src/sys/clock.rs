//! The clock that processes compare notes by.

use nix::time::{ClockId, clock_gettime};

/// Milliseconds of CLOCK_MONOTONIC (clock_gettime(2)): the same in every process, never set back, and
/// standing still while the machine is suspended.
pub fn now_ms() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("Linux has a monotonic clock");
    now.tv_sec().cast_unsigned() * 1000 + now.tv_nsec().cast_unsigned() / 1_000_000
}
