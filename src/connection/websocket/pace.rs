//! `Pace` says whether a client makes work and says nothing: pings without end, or parts of a message.

use super::close_code::{POLICY, TOO_BIG};
use std::time::Instant;

/// Any client may send this many pings and pongs, at once and per second.
const CONTROL: u64 = 1000;
const CONTROL_PER_SECOND: u64 = 50;

/// A ping or pong has this many bytes at most: its head, its mask, and its payload (RFC 6455 section 5.5).
const LONGEST_CONTROL: u64 = 131;

pub struct Pace {
    began: Instant,
    /// This many pings and pongs came.
    control: u64,
    /// This many bytes had come when a message was last whole.
    mark: u64,
    /// So many bytes are too many beside those of pings.
    most: u64,
}

impl Pace {
    /// Follows a client whose messages may have this many bytes.
    pub fn new(size: usize, now: Instant) -> Pace {
        Pace {
            began: now,
            control: 0,
            mark: 0,
            // Of a message and its frames, where they are not very small.
            most: 2 * size as u64 + (1 << 20),
        }
    }

    /// Notes a ping or a pong, and says whether there may be too many.
    pub fn control(&mut self) -> bool {
        self.control += 1;
        self.control > CONTROL
    }

    /// Notes that a message is whole; this many bytes have come until now.
    pub fn whole(&mut self, received: u64) {
        self.mark = received;
    }

    /// Says what a client is to be told that is too much, when this many bytes have come; none where it is not.
    pub fn fault(&self, received: u64, now: Instant) -> Option<(u16, &'static str)> {
        let age = now.saturating_duration_since(self.began);
        if self.control > CONTROL + CONTROL_PER_SECOND * age.as_secs() {
            return Some((POLICY, "too many pings"));
        }
        let most = self.most + LONGEST_CONTROL * self.control;
        (received - self.mark > most).then_some((TOO_BIG, "too many fragments"))
    }

    /// Says whether this many bytes are too many behind a close: a message may have been on its way.
    pub fn is_too_much(&self, bytes: u64) -> bool {
        bytes > self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn pings_and_parts_without_end_are_too_many() {
        let start = Instant::now();
        let mut pace = Pace::new(1000, start);
        assert!((0..CONTROL).all(|_| !pace.control()));
        assert_eq!(pace.fault(0, start), None);
        assert!(pace.control());
        assert_eq!(pace.fault(0, start), Some((POLICY, "too many pings")));
        assert_eq!(pace.fault(0, start + Duration::from_secs(1)), None);
        let mut pace = Pace::new(1000, start);
        let most = 2000 + (1 << 20);
        assert_eq!(pace.fault(most, start), None);
        assert_eq!(
            pace.fault(most + 1, start),
            Some((TOO_BIG, "too many fragments"))
        );
        pace.whole(most + 1);
        assert_eq!(pace.fault(most + 1, start), None);
    }
}
