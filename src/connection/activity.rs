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
    refused: Cell<Option<Refusal>>,
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

    /// What the client has sent cannot be answered but by this, once earlier requests are.
    pub fn refuse(&self, refusal: Refusal) {
        self.refused.set(Some(refusal));
    }

    pub fn refused(&self) -> Option<Refusal> {
        self.refused.get().filter(|_| !self.is_busy())
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
