//! `KeepAlive` says whether the client of a WebSocket is still there, by a pure rule over what came, and when.

use std::time::{Duration, Instant};

/// `KeepAlive` says when a client is asked, and how long its answer may take.
#[derive(Clone, Copy, Debug)]
pub struct KeepAlive {
    /// The interval is 0 where the client is not asked.
    interval: Duration,
    /// The time-out is 0 where the client is waited for for ever.
    timeout: Duration,
    /// Something came last at this time.
    heard: Instant,
    /// The client was asked at this time, since something came.
    asked: Option<Instant>,
}

/// `Due` says what is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    Ping,
    GiveUp,
}

impl KeepAlive {
    pub fn new(interval: Duration, timeout: Duration, now: Instant) -> KeepAlive {
        KeepAlive {
            interval,
            timeout,
            heard: now,
            asked: None,
        }
    }

    /// Notes that something came from the client.
    pub fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.asked = None;
    }

    /// Notes that the client was sent a ping.
    pub fn asked(&mut self, now: Instant) {
        self.asked = Some(now);
    }

    /// Gives what is due next, and when. A client whose messages nobody takes cannot be heard either.
    pub fn next(&self, is_read: bool) -> Option<(Instant, Due)> {
        match self.asked {
            _ if self.interval.is_zero() => None,
            None => Some((self.heard + self.interval, Due::Ping)),
            Some(asked) if self.timeout.is_zero() => Some((asked + self.interval, Due::Ping)),
            Some(asked) if is_read => Some((asked + self.timeout, Due::GiveUp)),
            Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_silent_client_is_asked_and_given_up() {
        let start = Instant::now();
        let mut client = KeepAlive::new(20 * SECOND, 5 * SECOND, start);
        assert_eq!(client.next(true), Some((start + 20 * SECOND, Due::Ping)));
        let asked = start + 20 * SECOND;
        client.asked(asked);
        assert_eq!(client.next(true), Some((asked + 5 * SECOND, Due::GiveUp)));
        // Its answer may be behind messages that the guest does not take.
        assert_eq!(client.next(false), None);
        client.heard(asked + SECOND);
        assert_eq!(client.next(true), Some((asked + 21 * SECOND, Due::Ping)));
    }

    #[test]
    fn nought_switches_it_off() {
        let start = Instant::now();
        let silent = KeepAlive::new(Duration::ZERO, SECOND, start);
        assert_eq!(silent.next(true), None);
        let mut patient = KeepAlive::new(SECOND, Duration::ZERO, start);
        patient.asked(start + SECOND);
        assert_eq!(patient.next(true), Some((start + 2 * SECOND, Due::Ping)));
    }
}
