//! A `Clock` is the supervisor's. Time that passes while the supervisor is suspended, stopped or starved of CPU does
//! not count, for it does not count for its workers either.

use std::time::{Duration, Instant};

/// A `Clock` does not jump.
pub struct Clock {
    now: Instant,
    /// This was the real time of the last reading.
    read: Instant,
}

impl Clock {
    pub fn new(real: Instant) -> Clock {
        Clock {
            now: real,
            read: real,
        }
    }

    /// Returns the time now. Nothing that the supervisor waits for lasts longer than `longest`: if more than twice that
    /// has passed since the last reading, it was not there to see it.
    pub fn now(&mut self, real: Instant, longest: Duration) -> Instant {
        let passed = real.saturating_duration_since(self.read);
        self.read = real;
        self.now += passed.min(longest * 2);
        self.now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEAT: Duration = Duration::from_secs(1);

    #[test]
    fn time_passes_while_the_supervisor_runs() {
        let start = Instant::now();
        let mut clock = Clock::new(start);
        for second in 1..=60 {
            let real = start + BEAT * second;
            assert_eq!(clock.now(real, BEAT), real);
        }
    }

    #[test]
    fn an_hour_of_suspension_is_two_beats() {
        let start = Instant::now();
        let mut clock = Clock::new(start);
        let resumed = start + Duration::from_secs(3600);
        assert_eq!(clock.now(resumed, BEAT), start + BEAT * 2);
        assert_eq!(clock.now(resumed + BEAT, BEAT), start + BEAT * 3);
    }
}
