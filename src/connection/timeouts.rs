//! How long a connection may stay as it is: a pure rule over what it is doing.

use super::activity::Phase;
use super::refusal::TOO_SLOW;
use super::settings::Settings;
use super::watch::Stop;
use std::time::{Duration, Instant};

/// Since when the worker is leaving, and how long a connection must be idle before it is closed for
/// that: a request may be on its way.
pub type Leaving = Option<(Instant, Duration)>;

/// How long a client is answered that sends no more: most such have left.
const ENDED: Duration = Duration::from_secs(10);

/// What there is to wait for.
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    pub phase: Phase,
    /// When the client must have taken some of what is written, where it does not.
    pub write: Option<Instant>,
    /// Since when a head of HTTP/2 is unfinished, beside whatever else goes on.
    pub head: Option<Instant>,
    /// Since when the client sends no more.
    pub ended: Option<Instant>,
}

/// When a connection's time is up if nothing changes, and what that means then.
pub fn deadline(waits: Waits, settings: &Settings, leaving: Leaving) -> Option<(Instant, Stop)> {
    let header = |since| (since + settings.header, Stop::Refuse(TOO_SLOW));
    let by_phase = match waits.phase {
        Phase::Busy { .. } => waits.ended.map(|since| (since + ENDED, Stop::Left)),
        // How long that may take is decided by who throws it away.
        Phase::Rest => None,
        // Where everybody leaves, nobody waits for the rest of a head.
        Phase::Head { since } if leaving.is_some_and(|(_, moment)| moment.is_zero()) => {
            Some((since, Stop::Close))
        }
        Phase::Head { since } => Some(header(since)),
        Phase::Idle { since } => {
            let kept = since + settings.keep_alive;
            let left = leaving.map(|(start, moment)| since.max(start) + moment);
            Some((left.map_or(kept, |left| left.min(kept)), Stop::Close))
        }
    };
    let write = waits.write.map(|until| (until, Stop::Stalled));
    let all = [by_phase, write, waits.head.map(header)];
    all.into_iter().flatten().min_by_key(|(until, _)| *until)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::{Limits, Protocols};

    fn waits(phase: Phase) -> Waits {
        Waits {
            phase,
            write: None,
            head: None,
            ended: None,
        }
    }

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
        rate: 240,
    };

    #[test]
    fn an_idle_connection_is_kept_for_a_while() {
        let since = Instant::now();
        let deadline = deadline(waits(Phase::Idle { since }), &SETTINGS, None);
        assert_eq!(deadline, Some((since + SETTINGS.keep_alive, Stop::Close)));
    }

    #[test]
    fn a_slow_head_times_out_and_a_busy_connection_does_not() {
        let since = Instant::now();
        let head = deadline(waits(Phase::Head { since }), &SETTINGS, None);
        assert_eq!(
            head,
            Some((since + SETTINGS.header, Stop::Refuse(TOO_SLOW)))
        );
        let busy = Phase::Busy { requests: 1 };
        assert_eq!(deadline(waits(busy), &SETTINGS, None), None);
    }

    #[test]
    fn a_client_that_takes_nothing_is_dropped_whatever_else_it_does() {
        let since = Instant::now();
        for phase in [
            Phase::Busy { requests: 1 },
            Phase::Idle { since },
            Phase::Rest,
        ] {
            let waits = Waits {
                write: Some(since),
                ..waits(phase)
            };
            let verdict = deadline(waits, &SETTINGS, None);
            assert_eq!(verdict, Some((since, Stop::Stalled)));
        }
    }

    #[test]
    fn a_head_may_not_take_longer_beside_others() {
        let since = Instant::now();
        let waits = Waits {
            head: Some(since),
            ..waits(Phase::Busy { requests: 1 })
        };
        let verdict = deadline(waits, &SETTINGS, None);
        assert_eq!(
            verdict,
            Some((since + SETTINGS.header, Stop::Refuse(TOO_SLOW)))
        );
    }

    #[test]
    fn a_client_that_sends_no_more_is_answered_for_a_while() {
        let since = Instant::now();
        let waits = Waits {
            ended: Some(since),
            ..waits(Phase::Busy { requests: 1 })
        };
        let verdict = deadline(waits, &SETTINGS, None);
        assert_eq!(verdict, Some((since + ENDED, Stop::Left)));
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
            deadline(waits(long_idle), &SETTINGS, leaving),
            Some((start + moment, Stop::Close))
        );
    }

    #[test]
    fn half_a_head_does_not_hold_up_a_stop() {
        let since = Instant::now();
        let leaving = Some((since, Duration::ZERO));
        let verdict = deadline(waits(Phase::Head { since }), &SETTINGS, leaving);
        assert_eq!(verdict, Some((since, Stop::Close)));
    }
}
