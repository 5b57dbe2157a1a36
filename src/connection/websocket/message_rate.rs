//! `MessageRate` says whether a client keeps up with a message that it has begun: what has come of it is held in
//! memory until all has. A client that has begun none may be silent for as long as it likes, and pings are no part of
//! a message.

use crate::request::client_rate::ClientRate;
use std::time::{Duration, Instant};

pub struct MessageRate {
    rate: ClientRate,
    /// Pings and pongs had this many bytes.
    control: u64,
    /// The rate knows of this many bytes of messages.
    counted: u64,
    /// This many bytes of messages had come when the last one was whole.
    whole: u64,
}

/// A client's ping or pong has this many bytes that are not its payload (RFC 6455 section 5.5): two, and the mask.
const CONTROL_HEAD: u64 = 6;

impl MessageRate {
    /// Demands this many bytes a second of a client, on average.
    pub fn new(rate: u64) -> MessageRate {
        MessageRate {
            rate: ClientRate::new(rate),
            control: 0,
            counted: 0,
            whole: 0,
        }
    }

    /// Notes that a ping or a pong came with this payload.
    pub fn control(&mut self, payload: &[u8]) {
        self.control += CONTROL_HEAD + payload.len() as u64;
    }

    /// Notes that a message is whole; this many bytes have come until now.
    pub fn whole(&mut self, received: u64) {
        self.whole = received.saturating_sub(self.control);
    }

    /// Notes that nothing more is there to be read: the client is waited for where it has begun a message.
    pub fn waits(&mut self, received: u64, now: Instant) {
        let came = received.saturating_sub(self.control);
        // Whoever looks again and finds nothing new does not put the end off.
        if came > self.counted {
            self.rate.moved(came - self.counted, now);
            self.counted = came;
        }
        match came > self.whole {
            true => self.rate.waits(now),
            false => self.rests(now),
        }
    }

    /// Notes that nothing is read for now.
    pub fn rests(&mut self, now: Instant) {
        self.rate.moved(0, now);
    }

    /// Says when the client's time is up if nothing comes, which it may do for this long.
    pub fn deadline(&self, idle: Duration) -> Option<Instant> {
        self.rate.deadline(idle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(30);

    #[test]
    fn only_a_message_that_has_begun_is_waited_for() {
        let start = Instant::now();
        let mut message_rate = MessageRate::new(100);
        message_rate.waits(0, start);
        assert_eq!(message_rate.deadline(IDLE), None);
        message_rate.control(b"ping");
        message_rate.waits(10, start);
        assert_eq!(message_rate.deadline(IDLE), None);
        message_rate.waits(110, start);
        assert!(message_rate.deadline(IDLE).is_some());
        message_rate.whole(120);
        message_rate.waits(120, start);
        assert_eq!(message_rate.deadline(IDLE), None);
        message_rate.waits(121, start);
        assert!(message_rate.deadline(IDLE).is_some());
        message_rate.rests(start);
        assert_eq!(message_rate.deadline(IDLE), None);
    }

    #[test]
    fn looking_again_is_no_progress() {
        let start = Instant::now();
        let mut message_rate = MessageRate::new(100);
        let idle = Duration::from_secs(2);
        for half in 0..4 {
            message_rate.waits(1, start + Duration::from_millis(500) * half);
        }
        assert_eq!(message_rate.deadline(idle), Some(start + idle));
    }

    #[test]
    fn pings_are_no_progress() {
        let start = Instant::now();
        let mut message_rate = MessageRate::new(100);
        message_rate.waits(1, start);
        let first = message_rate.deadline(IDLE).unwrap();
        let mut received = 1;
        for second in 1..=5 {
            for _ in 0..10 {
                message_rate.control(&[0; 125]);
                received += 131;
            }
            message_rate.waits(received, start + Duration::from_secs(second));
        }
        assert_eq!(message_rate.deadline(IDLE), Some(first));
        // Bytes of the message are.
        message_rate.waits(received + 300, start + Duration::from_secs(6));
        assert_eq!(
            message_rate.deadline(IDLE),
            Some(first + Duration::from_secs(3))
        );
    }

    #[test]
    fn a_client_that_drips_is_given_up_and_one_that_is_slow_is_not() {
        let start = Instant::now();
        for (each, is_given_up) in [(20, true), (200, false)] {
            let mut message_rate = MessageRate::new(100);
            let late = (0..60).any(|second| {
                let now = start + Duration::from_secs(second);
                message_rate.waits(1 + second * each, now);
                message_rate
                    .deadline(IDLE)
                    .is_some_and(|until| until <= now)
            });
            assert_eq!(late, is_given_up, "{each}");
        }
    }
}
