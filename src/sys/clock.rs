//! This file reads the clocks that processes share, so that they can compare times, and knows the calendar.

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

/// Returns the milliseconds of `now_ms` as they were at the last tick of the kernel, which is up to ten ago: that costs a
/// seventh of reading the time.
pub fn recent_ms() -> u64 {
    nanoseconds(ClockId::CLOCK_MONOTONIC_COARSE) / 1_000_000
}

/// Returns the seconds since 1970 as they were at the last tick of the kernel.
pub fn recent_unix_s() -> u64 {
    nanoseconds(ClockId::CLOCK_REALTIME_COARSE) / 1_000_000_000
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

/// A `Date` has year, month and day.
pub type Date = (i32, u8, u8);

/// Finds the date of a day, which is counted from 1970, by the Gregorian calendar for all times (Howard Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms").
pub fn date(days: i64) -> Date {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year + era * 400 + i64::from(month <= 2);
    (year as i32, month as u8, day as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_recent_is_not_long_ago() {
        for _ in 0..1000 {
            let before = now_ms();
            let recent = recent_ms();
            assert!(recent <= now_ms() && recent + 100 >= before);
            let second = unix_ms() / 1000;
            assert!((second - 1..=second + 1).contains(&recent_unix_s()));
        }
    }

    #[test]
    fn days_are_dates() {
        for (days, expected) in [
            (0, (1970, 1, 1)),
            (-1, (1969, 12, 31)),
            (10_957 + 59, (2000, 2, 29)),
            (-719_528, (0, 1, 1)),
            (20_000, (2024, 10, 4)),
        ] {
            assert_eq!(date(days), expected);
        }
    }
}
