//! A connection's `ConnectionState` says what it is doing: it follows from what came, what was answered, and the time.
//! It wakes nobody.

use super::eviction::{Evictable, Eviction};
use super::frames::Frames;
use super::refusal::HeadRefusal;
use crate::request::BodyReading;
use http::{Uri, Version};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A `ConnectionPhase` is what the time-outs know of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionPhase {
    /// Nothing has been received since the last answer.
    Idle { since: Instant },
    /// A head has begun to arrive.
    Head { since: Instant },
    /// This many requests are being answered.
    Busy { requests: usize },
    /// There was an answer before the request was whole; the rest of it is still to come.
    Rest,
}

/// A `ConnectionState` is what is known of one connection.
pub struct ConnectionState {
    doing: HttpActivity,
    accepted: Instant,
    eviction: Eviction,
    /// This many requests began.
    begun: u64,
    protocol: Protocol,
}

/// `HttpActivity` says what a connection does, whatever it speaks.
#[derive(Clone, Copy)]
enum HttpActivity {
    Idle { since: Instant },
    Head { since: Instant },
    Busy { requests: usize },
}

/// A `Protocol` has what is known only where it is spoken. Until it is known what is spoken, that is HTTP/1.
enum Protocol {
    /// Requests come one by one.
    Http1(Http1),
    /// Requests come in frames, side by side.
    Http2(Box<Http2>),
}

struct Http1 {
    /// The last request was of this version.
    version: Version,
    /// The bytes that come belong to a request that began before.
    is_in_body: bool,
    /// What came after this many requests cannot be answered but by this.
    refused: Option<(HeadRefusal, u64)>,
}

struct Http2 {
    since: Instant,
    /// The client has many clients of its own, and judges them.
    is_trusted: bool,
    frames: Frames,
    /// The client has reason to send this many further frames.
    earned: u64,
    /// The client went away from this many requests before there was an answer.
    cancelled: u64,
}

impl ConnectionState {
    pub fn new(now: Instant) -> ConnectionState {
        ConnectionState {
            doing: HttpActivity::Idle { since: now },
            accepted: now,
            eviction: Eviction::default(),
            begun: 0,
            protocol: Protocol::Http1(Http1 {
                version: Version::HTTP_11,
                is_in_body: false,
                refused: None,
            }),
        }
    }

    pub fn phase(&self) -> ConnectionPhase {
        let since = match self.doing {
            HttpActivity::Busy { requests } => return ConnectionPhase::Busy { requests },
            HttpActivity::Head { since } => return ConnectionPhase::Head { since },
            HttpActivity::Idle { since } => since,
        };
        match (&self.protocol, self.head_since()) {
            (_, Some(since)) => ConnectionPhase::Head { since },
            (Protocol::Http1(http1), None) if http1.is_in_body => ConnectionPhase::Rest,
            (_, None) => ConnectionPhase::Idle { since },
        }
    }

    /// Says since when a head of HTTP/2 is unfinished, beside whatever else goes on.
    pub fn head_since(&self) -> Option<Instant> {
        match &self.protocol {
            Protocol::Http1(_) => None,
            Protocol::Http2(http2) => http2.frames.head_since(),
        }
    }

    /// Says for how long there has been this connection.
    pub fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.accepted)
    }

    pub fn is_busy(&self) -> bool {
        matches!(self.doing, HttpActivity::Busy { .. })
    }

    /// Says whether the connection is busy where this many requests have come.
    pub fn is_busy_with(&self, requests: u64) -> bool {
        self.is_busy() || self.begun < requests
    }

    /// Says whether there was an answer, and nothing else since, so that some of it may still be on its way.
    pub fn has_answered(&self) -> bool {
        matches!(self.doing, HttpActivity::Idle { .. }) && self.begun > 0
    }

    /// Says why the connection may be closed in favour of another; none where it may not, or is closed already.
    pub fn evictable(&self) -> Option<Evictable> {
        self.eviction.allows(self.loses_nothing())
    }

    /// Has the connection closed if nothing comes of it until that is looked at.
    pub fn evict(&mut self) {
        self.eviction.ask(self.loses_nothing());
    }

    /// Says, once, why the connection is to be closed now in favour of another, if it is.
    pub fn take_evicted(&mut self) -> Option<Evictable> {
        self.eviction.take(self.loses_nothing())
    }

    fn loses_nothing(&self) -> Option<Evictable> {
        let is_new = self.begun == 0;
        let accepted = self.accepted;
        Some(match (self.phase(), self.doing) {
            (ConnectionPhase::Busy { .. }, _) => return None,
            (ConnectionPhase::Idle { .. }, _) if is_new => Evictable::New { since: accepted },
            (ConnectionPhase::Idle { since }, _) => Evictable::Idle { since },
            (ConnectionPhase::Head { .. }, _) if is_new => {
                Evictable::Unfinished { since: accepted }
            }
            (ConnectionPhase::Head { since }, _) => Evictable::Unfinished { since },
            (ConnectionPhase::Rest, HttpActivity::Idle { since }) => {
                Evictable::Unfinished { since }
            }
            (ConnectionPhase::Rest, HttpActivity::Head { .. } | HttpActivity::Busy { .. }) => {
                return None;
            }
        })
    }

    /// Notes that nothing that came so far began a request.
    pub fn rest(&mut self, now: Instant) {
        self.doing = HttpActivity::Idle { since: now };
    }

    pub fn request_began(&mut self) {
        self.begun += 1;
        let requests = match self.doing {
            HttpActivity::Busy { requests } => requests + 1,
            HttpActivity::Idle { .. } | HttpActivity::Head { .. } => 1,
        };
        self.doing = HttpActivity::Busy { requests };
    }

    pub fn request_ended(&mut self, now: Instant) {
        self.doing = match self.doing {
            HttpActivity::Busy { requests } if requests > 1 => HttpActivity::Busy {
                requests: requests - 1,
            },
            _ => HttpActivity::Idle { since: now },
        };
    }

    /// Notes that the client went away from a request before there was an answer. In HTTP/1 that ends the connection.
    pub fn request_cancelled(&mut self) {
        if let Protocol::Http2(http2) = &mut self.protocol {
            http2.cancelled += 1;
        }
    }
}

/// These functions are for HTTP/1 alone.
impl ConnectionState {
    /// Notes the version of the client's last request.
    pub fn speaks(&mut self, version: Version) {
        if let Protocol::Http1(http1) = &mut self.protocol {
            http1.version = version;
        }
    }

    pub fn is_http_1_0(&self) -> bool {
        matches!(&self.protocol, Protocol::Http1(http1) if http1.version <= Version::HTTP_10)
    }

    /// Notes that bytes came: whether a body goes on after them, and whether a request began with them.
    pub fn received(&mut self, is_in_body: bool, begins: bool, now: impl FnOnce() -> Instant) {
        if let Protocol::Http1(http1) = &mut self.protocol {
            http1.is_in_body = is_in_body;
        }
        self.doing = match self.doing {
            HttpActivity::Idle { .. } if begins => HttpActivity::Head { since: now() },
            // The rest of a request that was answered is no reason to stay.
            HttpActivity::Idle { .. } if !is_in_body => HttpActivity::Idle { since: now() },
            doing => doing,
        };
    }

    /// Says whether the client ended before its request was whole.
    pub fn is_cut_short(&self) -> bool {
        matches!(&self.protocol, Protocol::Http1(http1) if http1.is_in_body)
    }

    /// Refuses what came after this many requests.
    pub fn refuse(&mut self, refusal: HeadRefusal, requests: u64) {
        if let Protocol::Http1(http1) = &mut self.protocol {
            http1.refused = Some((refusal, requests));
        }
    }

    /// Returns the refusal that is due: the requests before it were answered.
    pub fn refused(&self) -> Option<HeadRefusal> {
        let Protocol::Http1(http1) = &self.protocol else {
            return None;
        };
        let (refusal, requests) = http1.refused?;
        (!self.is_busy_with(requests)).then_some(refusal)
    }
}

/// These functions are for HTTP/2 alone.
impl ConnectionState {
    /// Follows frames from here on.
    pub fn follow_frames(&mut self, longest_head: usize, is_trusted: bool, now: Instant) {
        self.rest(now);
        self.protocol = Protocol::Http2(Box::new(Http2 {
            since: now,
            is_trusted,
            frames: Frames::new(longest_head),
            earned: 0,
            cancelled: 0,
        }));
    }

    /// Notes that bytes came, changes some of them, and returns how many of them may be passed on.
    pub fn received_frames(&mut self, bytes: &mut [u8]) -> usize {
        match &mut self.protocol {
            Protocol::Http1(_) => bytes.len(),
            Protocol::Http2(http2) => http2.frames.follow(bytes, Instant::now),
        }
    }

    /// Notes that the answer to a request begins before all of its body has come; with none, that it has ended.
    pub fn answers_early(&mut self, stream: u32, reading: Option<&Arc<BodyReading>>) {
        if let Protocol::Http2(http2) = &mut self.protocol {
            http2.frames.answers_early(stream, reading);
        }
    }

    /// Says whether the request of a stream may be taken, whose target is put back.
    pub fn admits(&mut self, stream: u32, target: &mut Uri) -> bool {
        match &mut self.protocol {
            Protocol::Http1(_) => true,
            Protocol::Http2(http2) => http2.frames.admits(stream, target),
        }
    }

    /// Notes that the client has reason to send this many further frames.
    pub fn earn(&mut self, frames: u64) {
        if let Protocol::Http2(http2) = &mut self.protocol {
            http2.earned += frames;
        }
    }

    /// Says whether the client makes work without wanting answers: it resets what it asks for (CVE-2023-44487), or
    /// sends frames that bring nothing (CVE-2019-9512 and those beside it).
    pub fn is_abused(&self, now: impl FnOnce() -> Instant) -> bool {
        /// A client that changes its mind has reason to, now and then.
        const CANCELLED: u64 = 200;
        /// Anybody may send this many frames, at once and per second.
        const FRAMES: u64 = 1000;
        const FRAMES_PER_SECOND: u64 = 50;
        let Protocol::Http2(http2) = &self.protocol else {
            return false;
        };
        if http2.is_trusted {
            return false;
        }
        if http2.cancelled > CANCELLED && http2.cancelled * 2 > self.begun {
            return true;
        }
        let (idle, earned) = (http2.frames.idle(), FRAMES + http2.earned);
        let age = |now: Instant| now.saturating_duration_since(http2.since);
        let by_now = |age: Duration| earned + FRAMES_PER_SECOND * age.as_secs();
        idle > earned && idle > by_now(age(now()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::refusal::TOO_SLOW;
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_connection_goes_from_head_to_answer_and_rests_again() {
        let start = Instant::now();
        let mut state = ConnectionState::new(start);
        assert_eq!(state.phase(), ConnectionPhase::Idle { since: start });
        // An empty line begins nothing, and the connection is as young as that.
        state.received(false, false, || start + SECOND);
        let since = start + SECOND;
        assert_eq!(state.phase(), ConnectionPhase::Idle { since });
        state.received(false, true, || start + 2 * SECOND);
        let since = start + 2 * SECOND;
        assert_eq!(state.phase(), ConnectionPhase::Head { since });
        state.received(false, true, || start + 3 * SECOND);
        assert_eq!(state.phase(), ConnectionPhase::Head { since });
        state.request_began();
        assert_eq!(state.phase(), ConnectionPhase::Busy { requests: 1 });
        assert!(!state.has_answered());
        let since = start + 4 * SECOND;
        state.request_ended(since);
        assert_eq!(state.phase(), ConnectionPhase::Idle { since });
        assert!(state.has_answered());
    }

    #[test]
    fn an_answer_before_the_end_of_its_request_leaves_the_rest_to_come() {
        let start = Instant::now();
        let mut state = ConnectionState::new(start);
        state.received(true, true, || start);
        state.request_began();
        state.request_ended(start);
        assert_eq!(state.phase(), ConnectionPhase::Rest);
        assert!(state.is_cut_short());
        state.received(false, false, || start);
        assert_eq!(state.phase(), ConnectionPhase::Idle { since: start });
    }

    #[test]
    fn a_refusal_waits_for_the_answers_before_it() {
        let start = Instant::now();
        let mut state = ConnectionState::new(start);
        state.refuse(TOO_SLOW, 1);
        assert_eq!(state.refused(), None);
        state.request_began();
        assert_eq!(state.refused(), None);
        state.request_ended(start);
        assert_eq!(state.refused(), Some(TOO_SLOW));
    }

    #[test]
    fn who_cancels_most_of_many_requests_makes_work_in_http_2_alone() {
        let start = Instant::now();
        let cancelled = |mut state: ConnectionState, all: usize| {
            for number in 0..all {
                state.request_began();
                if number % 3 > 0 {
                    state.request_cancelled();
                }
                state.request_ended(start);
            }
            state.is_abused(|| start)
        };
        let http2 = || {
            let mut state = ConnectionState::new(start);
            state.follow_frames(usize::MAX, false, start);
            state
        };
        assert!(!cancelled(http2(), 300));
        assert!(cancelled(http2(), 400));
        assert!(!cancelled(ConnectionState::new(start), 400));
    }
}
