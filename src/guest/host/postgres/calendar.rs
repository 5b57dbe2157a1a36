//! Days are counted from 1970 and times in microseconds; people write years, months and days. The calendar is the
//! Gregorian one, for all times, as PostgreSQL has it (section "History of Units" of its documentation).

pub use crate::sys::clock::{Date, date};

/// PostgreSQL counts from 2000.
pub const DAYS_TO_2000: i64 = 10_957;

const MICROS_OF_DAY: i64 = 86_400_000_000;

/// A `Time` has hour, minute, second and nanosecond.
pub type Time = (u8, u8, u8, u32);

/// Splits microseconds since a midnight.
pub fn time(micros: i64) -> Time {
    let seconds = micros / 1_000_000;
    let nanos = (micros % 1_000_000) * 1000;
    (
        (seconds / 3600) as u8,
        (seconds / 60 % 60) as u8,
        (seconds % 60) as u8,
        nanos as u32,
    )
}

/// Splits microseconds since 2000 into a date and a time.
pub fn date_and_time(micros: i64) -> (Date, Time) {
    let days = micros.div_euclid(MICROS_OF_DAY);
    (
        date(days + DAYS_TO_2000),
        time(micros.rem_euclid(MICROS_OF_DAY)),
    )
}

/// Writes a date as PostgreSQL reads it: there is no year 0 in it.
pub fn written((year, month, day): Date) -> String {
    match year {
        1.. => format!("{year:04}-{month:02}-{day:02}"),
        _ => format!("{:04}-{month:02}-{day:02} BC", 1 - i64::from(year)),
    }
}

/// Writes a date and a time of UTC.
pub fn written_with_time((year, month, day): Date, (hour, minute, second, nanos): Time) -> String {
    let (year, era) = match year {
        1.. => (i64::from(year), ""),
        _ => (1 - i64::from(year), " BC"),
    };
    let micros = nanos / 1000;
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{micros:06}+00{era}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn microseconds_are_dates_and_times() {
        assert_eq!(date(DAYS_TO_2000), (2000, 1, 1));
        assert_eq!(
            date_and_time(-1),
            ((1999, 12, 31), (23, 59, 59, 999_999_000))
        );
    }

    #[test]
    fn dates_are_written_as_the_server_reads_them() {
        assert_eq!(written((2024, 10, 4)), "2024-10-04");
        assert_eq!(written((0, 1, 2)), "0001-01-02 BC");
        assert_eq!(
            written_with_time((2024, 10, 4), (1, 2, 3, 4_000)),
            "2024-10-04 01:02:03.000004+00"
        );
    }
}
