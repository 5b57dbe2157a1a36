//! What a connection is doing, as far as its time-outs are concerned.

use http::Version;
use std::cell::Cell;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How long a connection may stay in a phase.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Between two requests.
    pub keep_alive: Duration,
    /// From the first byte of a request's head to its last.
    pub header: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing has been received since the last answer.
    Idle { since: Instant },
    /// A head has begun to arrive.
    Head { since: Instant },
    /// This many requests are being answered.
    Busy { requests: usize },
}

/// Shared by the socket, which sees bytes arrive, and the service, which sees requests begin and end.
pub struct Activity {
    phase: Cell<Phase>,
    http_1_0: Cell<bool>,
    answered: Cell<bool>,
    rested: Notify,
}

impl Activity {
    pub fn new(now: Instant) -> Activity {
        Activity {
            phase: Cell::new(Phase::Idle { since: now }),
            http_1_0: Cell::new(false),
            answered: Cell::new(false),
            rested: Notify::new(),
        }
    }

    pub fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// The client's last request was of this version.
    pub fn speaks(&self, version: Version) {
        self.http_1_0.set(version <= Version::HTTP_10);
    }

    pub fn is_http_1_0(&self) -> bool {
        self.http_1_0.get()
    }

    /// Whether there was an answer since the last sign of the client, so that some of it may still be
    /// on its way.
    pub fn has_answered(&self) -> bool {
        self.answered.get() && matches!(self.phase.get(), Phase::Idle { .. })
    }

    /// Resolves when an answer has ended since this was asked last.
    pub async fn rests(&self) {
        self.rested.notified().await;
    }

    pub fn received(&self) {
        if let Phase::Idle { .. } = self.phase.get() {
            self.phase.set(Phase::Head {
                since: Instant::now(),
            });
        }
    }

    pub fn request_began(&self) {
        self.phase.set(match self.phase.get() {
            Phase::Busy { requests } => Phase::Busy {
                requests: requests + 1,
            },
            Phase::Idle { .. } | Phase::Head { .. } => Phase::Busy { requests: 1 },
        });
    }

    pub fn request_ended(&self) {
        self.answered.set(true);
        self.rested.notify_one();
        self.phase.set(match self.phase.get() {
            Phase::Busy { requests } if requests > 1 => Phase::Busy {
                requests: requests - 1,
            },
            _ => Phase::Idle {
                since: Instant::now(),
            },
        });
    }
}

/// What is to be done about a connection now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Look again then.
    Wait { until: Instant },
    /// It was idle long enough: close it.
    Close,
    /// The head took too long: answer 408 and close (RFC 9110 section 15.5.9).
    HeaderTimeout,
}

/// Judges a connection. `leaving` is since when its worker is draining, and how long a connection
/// must be idle before it is closed for that: a request may be on its way.
pub fn judge(
    phase: Phase,
    settings: &Settings,
    leaving: Option<(Instant, Duration)>,
    now: Instant,
) -> Verdict {
    let (until, verdict) = match phase {
        Phase::Busy { .. } => {
            return Verdict::Wait {
                until: now + settings.keep_alive,
            };
        }
        // Where everybody leaves, nobody waits for the rest of a head.
        Phase::Head { .. } if leaving.is_some_and(|(_, moment)| moment.is_zero()) => {
            return Verdict::Close;
        }
        Phase::Head { since } => (since + settings.header, Verdict::HeaderTimeout),
        Phase::Idle { since } => {
            let kept = since + settings.keep_alive;
            let left = leaving.map(|(start, moment)| since.max(start) + moment);
            (left.map_or(kept, |left| left.min(kept)), Verdict::Close)
        }
    };
    if until <= now {
        verdict
    } else {
        Verdict::Wait { until }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Settings = Settings {
        keep_alive: Duration::from_secs(75),
        header: Duration::from_secs(30),
    };

    #[test]
    fn an_idle_connection_is_kept_for_a_while() {
        let start = Instant::now();
        let judge = |seconds| {
            let now = start + Duration::from_secs(seconds);
            super::judge(Phase::Idle { since: start }, &SETTINGS, None, now)
        };
        assert_eq!(
            judge(74),
            Verdict::Wait {
                until: start + SETTINGS.keep_alive
            }
        );
        assert_eq!(judge(75), Verdict::Close);
    }

    #[test]
    fn a_slow_head_times_out_and_a_busy_connection_does_not() {
        let start = Instant::now();
        let late = start + Duration::from_secs(3600);
        let head = judge(Phase::Head { since: start }, &SETTINGS, None, late);
        assert_eq!(head, Verdict::HeaderTimeout);
        let busy = judge(Phase::Busy { requests: 1 }, &SETTINGS, None, late);
        assert!(matches!(busy, Verdict::Wait { .. }));
    }

    #[test]
    fn a_draining_worker_closes_what_is_idle_for_a_moment() {
        let start = Instant::now();
        let moment = Duration::from_secs(1);
        let leaving = Some((start, moment));
        let long_idle = Phase::Idle {
            since: start - Duration::from_secs(20),
        };
        let verdict = judge(long_idle, &SETTINGS, leaving, start);
        assert_eq!(
            verdict,
            Verdict::Wait {
                until: start + moment
            }
        );
        assert_eq!(
            judge(long_idle, &SETTINGS, leaving, start + moment),
            Verdict::Close
        );
    }
}
