//! This file has every time-out of a connection: when it runs, what ends it, and what comes of it.
//!
//! | time-out | runs from, or while | until | then |
//! | --- | --- | --- | --- |
//! | `Settings::header` | a proxy connects that is to send a PROXY header | the header is whole | closed |
//! | `Settings::handshake` | a TLS handshake begins | the handshake is done | closed |
//! | `Settings::header` | the first byte of a request's head, beside whatever else goes on | the head is whole | 408 |
//! | `Settings::keep_alive` | the last answer, or the beginning | a request begins | closed |
//! | `Settings::write` | the client takes nothing of what is written | the client takes some | dropped |
//! | `Settings::rate` | the client takes less than this per second, as far as the server waits for it | the client has caught up | dropped |
//! | [`CLIENT_ENDED`] | a client that is being answered sends no more | the answer has ended | dropped |
//! | [`Leaving::idle`] | the worker leaves, and the connection is idle | a request begins | closed |
//! | [`GOAWAY_HEARD`] | a client of HTTP/2 was told that its connection ends, and has no stream | a stream begins | closed |
//! | [`LAST_BYTES`] | a connection of HTTP/1 is to be closed over an answer or a refusal | that has left | closed |
//! | [`LAST_FRAME`] | the same of HTTP/2 | the frame has left | closed |
//! | [`UNREAD_REQUEST`] | an answer came before the request was whole | the request is whole | closed |
//! | [`CLOSED_WEBSOCKET`] | a WebSocket was closed, and the client may still send | it has ended | closed |
//! | ping interval, ping time-out (`websocket::keep_alive`) | a WebSocket is silent | anything comes | a ping; given up |
//! | [`CLOSE_ANSWERED`] | a WebSocket was closed by us | the client has answered | dropped |
//! | [`BEFORE_THE_END`] | this time before the worker ends | | WebSockets are closed with 1012 |

use super::refusal::TOO_SLOW;
use super::settings::Settings;
use super::shutdown::WorkerShutdown;
use super::state::ConnectionPhase;
use super::watchdog::{Manner, Stop};
use crate::request::{LINGER, LINGER_IDLE};
use std::time::{Duration, Instant};

/// A client that sends no more is answered for this long: most such have left.
pub const CLIENT_ENDED: Duration = Duration::from_secs(10);

/// A client of HTTP/2 that was told that its connection ends may begin a stream for this long, which was on its way.
pub const GOAWAY_HEARD: Duration = Duration::from_secs(1);

/// The last answer may take this long to leave when its connection is closed.
pub const LAST_BYTES: Duration = Duration::from_secs(5);

/// The last frame of HTTP/2 may take this long to leave.
pub const LAST_FRAME: Duration = Duration::from_secs(1);

/// `Lingering` says how much is thrown away of what a client sends on that was told all: for this long altogether, for
/// this long while nothing comes, and this many bytes.
#[derive(Clone, Copy, Debug)]
pub struct Lingering {
    pub all: Duration,
    pub idle: Duration,
    pub bytes: usize,
}

/// A client of HTTP may read its answer only when it has sent all of its request.
pub const UNREAD_REQUEST: Lingering = Lingering {
    all: LINGER,
    idle: LINGER_IDLE,
    bytes: usize::MAX,
};

/// A client of a WebSocket sends nothing more once it has read that it is closed (RFC 6455 section 7.1.1). What was on
/// its way is no more than its system keeps of what it writes: four mebibytes (tcp(7), tcp_wmem). More is not read.
pub const CLOSED_WEBSOCKET: Lingering = Lingering {
    all: Duration::from_secs(5),
    idle: Duration::from_secs(1),
    bytes: 4 << 20,
};

/// The other end of a WebSocket's close may take this long to come.
pub const CLOSE_ANSWERED: Duration = Duration::from_secs(10);

/// Clients of WebSockets are told to come again this long before the worker ends.
pub const BEFORE_THE_END: Duration = Duration::from_secs(1);

/// `Leaving` says that a connection is to be closed when it is idle, since others take over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaving {
    pub since: Instant,
    /// The connection must have been idle for this long: a request may be on its way.
    pub idle: Duration,
}

impl Leaving {
    /// Says whether nobody takes over, so that nothing is waited for.
    pub fn is_hurried(self) -> bool {
        self.idle.is_zero()
    }

    /// Says whether a connection that is ended in this manner is leaving.
    pub fn of(manner: Manner, shutdown: &WorkerShutdown) -> Option<Leaving> {
        match manner {
            Manner::Http1 => shutdown.leaving(),
            Manner::Http2 { told } => told.map(|since| Leaving {
                since,
                idle: GOAWAY_HEARD,
            }),
        }
    }
}

/// `Waits` says what there is to wait for.
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    pub phase: ConnectionPhase,
    /// The client must have taken some of what is written by then, where it does not.
    pub write: Option<Instant>,
    /// A head of HTTP/2 is unfinished since then, beside whatever else goes on.
    pub head: Option<Instant>,
    /// The client sends no more since then.
    pub ended: Option<Instant>,
}

/// Says when a connection's time is up if nothing changes, and what that means then.
pub fn deadline(
    waits: Waits,
    settings: &Settings,
    leaving: Option<Leaving>,
) -> Option<(Instant, Stop)> {
    let header = |since| (since + settings.header, Stop::Refuse(TOO_SLOW));
    let by_phase = match waits.phase {
        ConnectionPhase::Busy { .. } => waits.ended.map(|since| (since + CLIENT_ENDED, Stop::Left)),
        // UNREAD_REQUEST runs where the rest is thrown away.
        ConnectionPhase::Rest => None,
        // Where everybody leaves, nobody waits for the rest of a head.
        ConnectionPhase::Head { since } if leaving.is_some_and(Leaving::is_hurried) => {
            Some((since, Stop::Close))
        }
        ConnectionPhase::Head { since } => Some(header(since)),
        ConnectionPhase::Idle { since } => {
            let kept = since + settings.keep_alive;
            let left = leaving.map(|leaving| since.max(leaving.since) + leaving.idle);
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
    use crate::connection::{HeadLimits, Protocols};

    fn waits(phase: ConnectionPhase) -> Waits {
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
        head: HeadLimits {
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
        let deadline = deadline(waits(ConnectionPhase::Idle { since }), &SETTINGS, None);
        assert_eq!(deadline, Some((since + SETTINGS.keep_alive, Stop::Close)));
    }

    #[test]
    fn a_slow_head_times_out_and_a_busy_connection_does_not() {
        let since = Instant::now();
        let head = deadline(waits(ConnectionPhase::Head { since }), &SETTINGS, None);
        assert_eq!(
            head,
            Some((since + SETTINGS.header, Stop::Refuse(TOO_SLOW)))
        );
        let busy = ConnectionPhase::Busy { requests: 1 };
        assert_eq!(deadline(waits(busy), &SETTINGS, None), None);
    }

    #[test]
    fn a_client_that_takes_nothing_is_dropped_whatever_else_it_does() {
        let since = Instant::now();
        for phase in [
            ConnectionPhase::Busy { requests: 1 },
            ConnectionPhase::Idle { since },
            ConnectionPhase::Rest,
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
            ..waits(ConnectionPhase::Busy { requests: 1 })
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
            ..waits(ConnectionPhase::Busy { requests: 1 })
        };
        let verdict = deadline(waits, &SETTINGS, None);
        assert_eq!(verdict, Some((since + CLIENT_ENDED, Stop::Left)));
    }

    #[test]
    fn a_draining_worker_closes_what_is_idle_for_a_moment() {
        let start = Instant::now();
        let idle = Duration::from_secs(1);
        let leaving = Some(Leaving { since: start, idle });
        let long_idle = ConnectionPhase::Idle {
            since: start - Duration::from_secs(20),
        };
        assert_eq!(
            deadline(waits(long_idle), &SETTINGS, leaving),
            Some((start + idle, Stop::Close))
        );
    }

    #[test]
    fn half_a_head_does_not_hold_up_a_stop() {
        let since = Instant::now();
        let idle = Duration::ZERO;
        let leaving = Some(Leaving { since, idle });
        let verdict = deadline(waits(ConnectionPhase::Head { since }), &SETTINGS, leaving);
        assert_eq!(verdict, Some((since, Stop::Close)));
    }
}
