//! `Backoff` says how long to wait before a worker that keeps dying is replaced.

use std::time::{Duration, Instant};

/// The first replacement is made at once, the second after this, and each further one after twice
/// the time.
const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(30);

/// A worker that lived this long did not die of its start.
const STABLE: Duration = Duration::from_secs(20);

/// A worker that lived this long has served: nobody takes longer than that to take its place.
const SERVED: Duration = Duration::from_secs(1);

/// A `Backoff` counts the deaths of the workers of one index.
#[derive(Clone, Debug, Default)]
pub struct Backoff {
    deaths: u32,
    until: Option<Instant>,
}

impl Backoff {
    /// Notes that a worker was killed by somebody else after having lived for `lived`. That one who served was does
    /// not tell anything about the next.
    pub fn was_killed(&mut self, lived: Duration, now: Instant, random: u64) {
        let counts = if lived >= SERVED { STABLE } else { lived };
        self.died(counts, now, random);
    }

    /// Notes that a worker died after having lived for `lived`. `random` spreads what would coincide.
    pub fn died(&mut self, lived: Duration, now: Instant, random: u64) {
        self.deaths = if lived >= STABLE { 0 } else { self.deaths + 1 };
        self.until = match self.deaths {
            0 | 1 => None,
            deaths => {
                let longest = if lived >= SERVED { lived } else { LONGEST };
                let doubled = FIRST.saturating_mul(1 << (deaths - 2).min(16));
                // Between three and five quarters of it.
                let jitter = 750 + u32::try_from(random % 501).unwrap_or(0);
                let wait = doubled.min(longest).min(LONGEST) * jitter / 1000;
                Some(now + wait)
            }
        };
    }

    /// Says when the next attempt may be made, where that is not now.
    pub fn waits_until(&self, now: Instant) -> Option<Instant> {
        self.until.filter(|until| *until > now)
    }

    pub fn deaths(&self) -> u32 {
        self.deaths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_replacement_is_made_at_once_and_later_ones_wait_longer_and_longer() {
        let now = Instant::now();
        let mut backoff = Backoff::default();
        let mut last = Duration::ZERO;
        for death in 0..20 {
            backoff.died(Duration::ZERO, now, 250);
            let wait = backoff
                .waits_until(now)
                .map_or(Duration::ZERO, |until| until - now);
            assert_eq!(wait.is_zero(), death == 0);
            assert!(wait >= last && wait <= LONGEST * 5 / 4);
            last = wait;
        }
        assert!(last >= LONGEST * 3 / 4);
    }

    #[test]
    fn a_worker_that_lived_long_is_replaced_at_once() {
        let now = Instant::now();
        let mut backoff = Backoff::default();
        backoff.died(Duration::ZERO, now, 0);
        backoff.died(Duration::ZERO, now, 0);
        assert!(backoff.waits_until(now).is_some());
        backoff.died(STABLE, now, 0);
        assert_eq!(backoff.waits_until(now), None);
    }

    #[test]
    fn who_is_killed_by_others_now_and_then_is_replaced_at_once() {
        let now = Instant::now();
        let mut backoff = Backoff::default();
        for _ in 0..20 {
            backoff.was_killed(SERVED, now, 0);
            assert_eq!(backoff.waits_until(now), None);
        }
        backoff.was_killed(Duration::ZERO, now, 0);
        backoff.was_killed(Duration::ZERO, now, 0);
        assert!(backoff.waits_until(now).is_some());
    }

    #[test]
    fn whoever_served_is_replaced_within_that_time() {
        let now = Instant::now();
        let mut backoff = Backoff::default();
        let lived = Duration::from_secs(2);
        for _ in 0..20 {
            backoff.died(lived, now, 500);
            let until = backoff.waits_until(now).unwrap_or(now);
            assert!(until - now <= lived * 5 / 4);
        }
    }
}
