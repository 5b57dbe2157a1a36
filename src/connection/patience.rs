//! How long a connection may stay as it is: a pure rule over what it is doing.

use super::activity::Phase;
use super::refusal::TOO_SLOW;
use super::settings::Settings;
use super::watch::Stop;
use std::time::{Duration, Instant};

/// Since when the worker is leaving, and how long a connection must be idle before it is closed for
/// that: a request may be on its way.
pub type Leaving = Option<(Instant, Duration)>;

/// When a connection's time is up if nothing changes, and what that means then.
pub fn deadline(
    phase: Phase,
    stalled: Option<Instant>,
    settings: &Settings,
    leaving: Leaving,
) -> Option<(Instant, Stop)> {
    match phase {
        Phase::Busy { .. } => stalled.map(|since| (since + settings.write, Stop::Stalled)),
        // Where everybody leaves, nobody waits for the rest of a head.
        Phase::Head { since } if leaving.is_some_and(|(_, moment)| moment.is_zero()) => {
            Some((since, Stop::Close))
        }
        Phase::Head { since } => Some((since + settings.header, Stop::Refuse(TOO_SLOW))),
        Phase::Idle { since } => {
            let kept = since + settings.keep_alive;
            let left = leaving.map(|(start, moment)| since.max(start) + moment);
            Some((left.map_or(kept, |left| left.min(kept)), Stop::Close))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::{Limits, Protocols};

    const SETTINGS: Settings = Settings {
        protocols: Protocols::Both,
        handshake: Duration::from_secs(10),
        head: Limits {
            head: 65536,
            fields: 100,
        },
        proxy_protocol: None,
        date_header: true,
        fields: String::new(),
        streams: 100,
        connections: 1000,
        keep_alive: Duration::from_secs(75),
        header: Duration::from_secs(30),
        write: Duration::from_secs(60),
    };

    #[test]
    fn an_idle_connection_is_kept_for_a_while() {
        let since = Instant::now();
        let deadline = deadline(Phase::Idle { since }, None, &SETTINGS, None);
        assert_eq!(deadline, Some((since + SETTINGS.keep_alive, Stop::Close)));
    }

    #[test]
    fn a_slow_head_times_out_and_a_busy_connection_does_not() {
        let since = Instant::now();
        let head = deadline(Phase::Head { since }, None, &SETTINGS, None);
        assert_eq!(
            head,
            Some((since + SETTINGS.header, Stop::Refuse(TOO_SLOW)))
        );
        let busy = Phase::Busy { requests: 1 };
        assert_eq!(deadline(busy, None, &SETTINGS, None), None);
    }

    #[test]
    fn a_client_that_takes_nothing_is_dropped() {
        let since = Instant::now();
        let busy = Phase::Busy { requests: 1 };
        assert_eq!(
            deadline(busy, Some(since), &SETTINGS, None),
            Some((since + SETTINGS.write, Stop::Stalled))
        );
    }

    #[test]
    fn a_draining_worker_closes_what_is_idle_for_a_moment() {
        let start = Instant::now();
        let moment = Duration::from_secs(1);
        let leaving = Some((start, moment));
        let long_idle = Phase::Idle {
            since: start - Duration::from_secs(20),
        };
        assert_eq!(
            deadline(long_idle, None, &SETTINGS, leaving),
            Some((start + moment, Stop::Close))
        );
    }

    #[test]
    fn half_a_head_does_not_hold_up_a_stop() {
        let since = Instant::now();
        let leaving = Some((since, Duration::ZERO));
        let verdict = deadline(Phase::Head { since }, None, &SETTINGS, leaving);
        assert_eq!(verdict, Some((since, Stop::Close)));
    }
}
