//! What a connection is doing, as far as its time-outs are concerned.

use super::refusal::Refusal;
use http::Version;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;
use tokio::sync::Notify;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing has been received since the last answer.
    Idle { since: Instant },
    /// A head has begun to arrive.
    Head { since: Instant },
    /// This many requests are being answered.
    Busy { requests: usize },
}

/// Since when a response waits for its client to take what it was given, if it does.
#[derive(Default)]
pub struct Pace(Cell<Option<Instant>>);

impl Pace {
    pub fn since(&self) -> Option<Instant> {
        self.0.get()
    }

    /// A piece of the body was handed on; the next is asked for when there is room for it.
    pub fn handed_on(&self) {
        self.0.set(Some(Instant::now()));
    }

    pub fn asked(&self) {
        self.0.set(None);
    }
}

/// Shared by the socket, which sees bytes arrive, and the service, which sees requests begin and end.
pub struct Activity {
    phase: Cell<Phase>,
    http_1_0: Cell<bool>,
    answered: Cell<bool>,
    /// Requests that began, and those whose client went away before there was an answer.
    begun: Cell<u64>,
    cancelled: Cell<u64>,
    /// Bytes that came while there was no request.
    idle_bytes: Cell<usize>,
    /// An answer to what is no request, and how many requests came before it.
    refused: Cell<Option<(Refusal, u64)>>,
    blocked: Cell<bool>,
    rested: Notify,
    /// Of the response that is being polled now.
    pace: Cell<Option<Rc<Pace>>>,
}

impl Activity {
    pub fn new(now: Instant) -> Activity {
        Activity {
            phase: Cell::new(Phase::Idle { since: now }),
            http_1_0: Cell::new(false),
            answered: Cell::new(false),
            begun: Cell::new(0),
            cancelled: Cell::new(0),
            idle_bytes: Cell::new(0),
            refused: Cell::new(None),
            blocked: Cell::new(false),
            rested: Notify::new(),
            pace: Cell::new(None),
        }
    }

    pub fn phase(&self) -> Phase {
        self.phase.get()
    }

    pub fn is_busy(&self) -> bool {
        matches!(self.phase.get(), Phase::Busy { .. })
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

    /// What came after so many requests cannot be answered but by this.
    pub fn refuse(&self, refusal: Refusal, requests: u64) {
        self.refused.set(Some((refusal, requests)));
    }

    /// The refusal whose turn it is.
    pub fn refused(&self) -> Option<Refusal> {
        let (refusal, requests) = self.refused.get()?;
        (self.begun.get() >= requests && !self.is_busy()).then_some(refusal)
    }

    /// Whether the client makes work without wanting answers: it resets what it asks for (CVE-2023-44487),
    /// or sends frames that belong to no request.
    pub fn is_abused(&self) -> bool {
        /// A client that changes its mind has reason to, now and then.
        const CANCELLED: u64 = 200;
        const IDLE_BYTES: usize = 1 << 20;
        let cancelled = self.cancelled.get();
        let resets = cancelled > CANCELLED && cancelled * 2 > self.begun.get();
        resets || self.idle_bytes.get() > IDLE_BYTES
    }

    /// Whether the client is not taking what is written.
    pub fn set_blocked(&self, blocked: bool) {
        self.blocked.set(blocked);
    }

    pub fn is_blocked(&self) -> bool {
        self.blocked.get()
    }

    /// The response that is polled from here on.
    pub fn enter(&self, pace: &Rc<Pace>) {
        self.pace.set(Some(pace.clone()));
    }

    /// The pace of the response that is being polled.
    pub fn pace(&self) -> Rc<Pace> {
        let pace = self.pace.take().unwrap_or_default();
        self.pace.set(Some(pace.clone()));
        pace
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

    /// Frames came, of which it is not known here what they are.
    pub fn received_frames(&self, bytes: usize) {
        if !self.is_busy() {
            self.idle_bytes.set(self.idle_bytes.get() + bytes);
        }
    }

    /// Nothing that came so far began a request.
    pub fn rest(&self) {
        self.phase.set(Phase::Idle {
            since: Instant::now(),
        });
    }

    pub fn request_cancelled(&self) {
        self.cancelled.set(self.cancelled.get() + 1);
    }

    pub fn request_began(&self) {
        self.begun.set(self.begun.get() + 1);
        self.idle_bytes.set(0);
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
