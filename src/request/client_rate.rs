//! `ClientRate` says whether a client keeps up: it holds the time for which the server waited for the client against
//! the bytes that the client moved.

use std::time::{Duration, Instant};

/// A client may fall behind the least rate by this much before it is given up.
const GRACE: Duration = Duration::from_secs(10);

/// This much of what a client moved faster than it must counts for later.
const CREDIT: Duration = Duration::from_secs(20);

/// A `ClientRate` is about one direction of one exchange.
#[derive(Clone, Debug)]
pub struct ClientRate {
    /// A client must move this many bytes per second; 0 where any rate will do.
    rate: u64,
    /// The server waits for the client since then.
    waits: Option<Instant>,
    /// The server has waited for the client for this long before.
    waited: Duration,
    /// This many bytes are missing so far; less than none where the client was faster.
    behind: i64,
}

impl ClientRate {
    pub fn new(rate: u64) -> ClientRate {
        ClientRate {
            rate,
            waits: None,
            waited: Duration::ZERO,
            behind: 0,
        }
    }

    /// The server has nothing to do until the client sends or takes something.
    pub fn waits(&mut self, now: Instant) {
        self.waits.get_or_insert(now);
    }

    pub fn is_waiting(&self) -> bool {
        self.waits.is_some()
    }

    /// Says for how long the client was waited for, until it moved last.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// Notes that the client moved this many bytes, and is not waited for any more.
    pub fn moved(&mut self, bytes: u64, now: Instant) {
        if let Some(since) = self.waits.take() {
            self.waited += now.saturating_duration_since(since);
            self.behind = self.behind.saturating_add(self.owed(since, now));
        }
        self.add(bytes);
    }

    /// Notes that the client moved this many bytes while it was not waited for.
    pub fn add(&mut self, bytes: u64) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let credit = self.bytes_in(CREDIT);
        self.behind = self.behind.saturating_sub(bytes).max(-credit);
    }

    /// Says how far behind the client is: by the least rate, or by how long it is waited for where there is none.
    pub fn behind(&self, now: Instant) -> Duration {
        let Some(since) = self.waits else {
            return Duration::ZERO;
        };
        if self.rate == 0 {
            return now - since;
        }
        let bytes = self.behind.saturating_add(self.owed(since, now)).max(0);
        Duration::from_secs_f64(bytes as f64 / self.rate as f64)
    }

    /// Says how long the client is waited for.
    pub fn stands_still(&self, now: Instant) -> Duration {
        let waits = self.waits.map(|since| now.saturating_duration_since(since));
        waits.unwrap_or_default()
    }

    /// Says when the client's time is up if nothing moves; it may stand still for `stall`.
    pub fn deadline(&self, stall: Duration) -> Option<Instant> {
        let since = self.waits?;
        if self.rate == 0 {
            return since.checked_add(stall);
        }
        let left = self.bytes_in(GRACE).saturating_sub(self.behind).max(0);
        let left = Duration::from_secs_f64(left as f64 / self.rate as f64);
        since.checked_add(stall.min(left))
    }

    fn owed(&self, since: Instant, now: Instant) -> i64 {
        self.bytes_in(now.saturating_duration_since(since))
    }

    fn bytes_in(&self, time: Duration) -> i64 {
        let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let rate = i64::try_from(self.rate).unwrap_or(i64::MAX);
        rate.saturating_mul(millis) / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALL: Duration = Duration::from_secs(60);

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_client_that_drips_falls_behind() {
        let start = Instant::now();
        let mut client_rate = ClientRate::new(100);
        for second in 0..9 {
            client_rate.waits(start + seconds(second));
            client_rate.moved(1, start + seconds(second + 1));
        }
        client_rate.waits(start + seconds(9));
        let until = client_rate.deadline(STALL).unwrap();
        assert!(until <= start + GRACE + seconds(1), "{:?}", until - start);
        assert!(client_rate.behind(start + seconds(9)) > seconds(8));
    }

    #[test]
    fn only_time_that_is_waited_counts() {
        let start = Instant::now();
        let mut client_rate = ClientRate::new(100);
        assert_eq!(client_rate.deadline(STALL), None);
        client_rate.waits(start);
        client_rate.moved(100, start + seconds(1));
        // The server, or the guest, was busy for an hour.
        assert_eq!(client_rate.behind(start + seconds(3600)), Duration::ZERO);
        client_rate.waits(start + seconds(3600));
        let until = client_rate.deadline(STALL).unwrap();
        assert_eq!(until, start + seconds(3600) + GRACE);
    }

    #[test]
    fn what_was_moved_faster_counts_for_later_but_not_for_ever() {
        let start = Instant::now();
        let mut client_rate = ClientRate::new(100);
        client_rate.moved(1 << 30, start);
        client_rate.waits(start);
        assert_eq!(client_rate.deadline(STALL), Some(start + GRACE + CREDIT));
    }

    #[test]
    fn without_a_rate_a_client_may_only_not_stand_still() {
        let start = Instant::now();
        let mut client_rate = ClientRate::new(0);
        for second in 0..1000 {
            client_rate.waits(start + seconds(second));
            client_rate.moved(1, start + seconds(second + 1));
        }
        client_rate.waits(start + seconds(1000));
        assert_eq!(
            client_rate.deadline(STALL),
            Some(start + seconds(1000) + STALL)
        );
        assert_eq!(client_rate.behind(start + seconds(1002)), seconds(2));
    }
}
