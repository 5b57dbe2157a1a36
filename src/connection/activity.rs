//! What a connection is doing, as far as its time-outs are concerned.

use super::frames::Frames;
use super::refusal::Refusal;
use super::socket::Probe;
use crate::request::{Progress, Reading};
use http::{Uri, Version};
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};
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
    /// There was an answer before the request was whole; the rest of it is still to come.
    Rest,
}

/// Shared by the socket, which sees bytes arrive, and the service, which sees requests begin and end.
pub struct Activity {
    phase: Cell<Phase>,
    opened: Instant,
    http_1_0: Cell<bool>,
    answered: Cell<bool>,
    /// Whether what comes belongs to a request that began before.
    in_body: Cell<bool>,
    /// Requests that began, and those whose client went away before there was an answer.
    begun: Cell<u64>,
    cancelled: Cell<u64>,
    /// Of HTTP/2; and how many further frames its client has reason for.
    frames: RefCell<Option<Frames>>,
    earned: Cell<u64>,
    /// An answer to what is no request, and how many requests came before it.
    refused: Cell<Option<(Refusal, u64)>>,
    rested: Notify,
    /// How the client takes what is written to the connection. Of HTTP/1, whose requests come one by one, also how it
    /// sends them.
    progress: Rc<Progress>,
    /// Since when the client sends no more; it may have left.
    ended: Rc<Cell<Option<Instant>>>,
    /// To be closed if it is idle, in favour of another.
    dismissed: Cell<bool>,
    /// Whoever runs this connection.
    runner: RefCell<Option<Waker>>,
    probe: OnceCell<Probe>,
}

impl Activity {
    /// A client must take so many bytes per second while it is waited for.
    pub fn new(now: Instant, rate: u64) -> Activity {
        let ended = Rc::default();
        Activity {
            phase: Cell::new(Phase::Idle { since: now }),
            opened: now,
            http_1_0: Cell::new(false),
            answered: Cell::new(false),
            in_body: Cell::new(false),
            begun: Cell::new(0),
            cancelled: Cell::new(0),
            frames: RefCell::new(None),
            earned: Cell::new(0),
            refused: Cell::new(None),
            rested: Notify::new(),
            progress: Progress::new(rate, &ended),
            ended,
            dismissed: Cell::new(false),
            runner: RefCell::new(None),
            probe: OnceCell::new(),
        }
    }

    pub fn phase(&self) -> Phase {
        let head = self.frames.borrow().as_ref().and_then(Frames::head_since);
        match (self.phase.get(), head) {
            (Phase::Idle { .. }, Some(since)) => Phase::Head { since },
            (Phase::Idle { .. }, None) if self.in_body.get() => Phase::Rest,
            (phase, _) => phase,
        }
    }

    /// Since when a head of HTTP/2 is unfinished, beside whatever else goes on.
    pub fn head_since(&self) -> Option<Instant> {
        self.frames.borrow().as_ref().and_then(Frames::head_since)
    }

    pub fn is_busy(&self) -> bool {
        matches!(self.phase.get(), Phase::Busy { .. })
    }

    /// The same where so many requests have come.
    pub fn is_busy_with(&self, requests: u64) -> bool {
        self.is_busy() || self.begun.get() < requests
    }

    pub fn progress(&self) -> &Rc<Progress> {
        &self.progress
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
    /// or sends frames that bring nothing (CVE-2019-9512 and those beside it).
    pub fn is_abused(&self) -> bool {
        /// A client that changes its mind has reason to, now and then.
        const CANCELLED: u64 = 200;
        /// Frames that anybody may send, at once and per second.
        const FRAMES: u64 = 1000;
        const FRAMES_PER_SECOND: u64 = 50;
        let cancelled = self.cancelled.get();
        if cancelled > CANCELLED && cancelled * 2 > self.begun.get() {
            return true;
        }
        let idle = self.frames.borrow().as_ref().map_or(0, Frames::idle);
        let earned = FRAMES + self.earned.get();
        idle > earned && idle > earned + FRAMES_PER_SECOND * self.opened.elapsed().as_secs()
    }

    /// The client has reason to send so many further frames.
    pub fn earn(&self, frames: u64) {
        self.earned.set(self.earned.get() + frames);
    }

    /// The client takes nothing of what is written, or some.
    pub fn wrote(&self, bytes: Option<usize>) {
        match bytes {
            Some(bytes) => self.progress.took(bytes),
            None if self.is_blocked() => {}
            None => {
                self.probe.get().map(Probe::taken);
                self.progress.waits_for_room();
            }
        }
    }

    pub fn is_blocked(&self) -> bool {
        self.progress.is_waited_for()
    }

    /// Resolves when an answer has ended since this was asked last.
    pub async fn rests(&self) {
        self.rested.notified().await;
    }

    /// From here on this is HTTP/2.
    pub fn follow_frames(&self) {
        self.rest();
        self.frames.replace(Some(Frames::new()));
    }

    /// Bytes of HTTP/1 came: whether a body goes on after them, and whether a request began with them.
    pub fn received(&self, in_body: bool, begins: bool) {
        self.in_body.set(in_body);
        if let Phase::Idle { .. } = self.phase.get() {
            let since = Instant::now();
            self.phase.set(match begins {
                true => Phase::Head { since },
                false => Phase::Idle { since },
            });
        }
    }

    /// Bytes of HTTP/2 came; some of them are changed, and so many of them may be passed on.
    pub fn received_frames(&self, bytes: &mut [u8]) -> usize {
        match &mut *self.frames.borrow_mut() {
            Some(frames) => frames.follow(bytes, Instant::now),
            None => bytes.len(),
        }
    }

    /// The answer to a request of HTTP/2 begins before all of its body has come; until it has ended, with none.
    pub fn answers_early(&self, stream: u32, reading: Option<&Arc<Reading>>) {
        if let Some(frames) = &mut *self.frames.borrow_mut() {
            frames.answers_early(stream, reading);
        }
    }

    /// Puts back what the target of a request of HTTP/2 stands for; false where that is not known.
    pub fn restore_target(&self, target: &mut Uri) -> bool {
        let frames = self.frames.borrow();
        frames
            .as_ref()
            .is_none_or(|frames| frames.targets.restore(target))
    }

    /// Whether the client ended before its request was whole.
    pub fn is_cut_short(&self) -> bool {
        self.in_body.get()
    }

    /// Nothing that came so far began a request.
    pub fn rest(&self) {
        self.phase.set(Phase::Idle {
            since: Instant::now(),
        });
    }

    /// The client sends no more.
    pub fn end(&self) {
        if self.ended.get().is_none() {
            self.ended.set(Some(Instant::now()));
        }
    }

    pub fn ended_since(&self) -> Option<Instant> {
        self.ended.get()
    }

    /// Closes this connection if it is idle.
    pub fn dismiss(&self) {
        self.dismissed.set(true);
        if let Some(runner) = self.runner.take() {
            runner.wake();
        }
    }

    /// Whether the request that is being answered, or the rest of its answer, is to end, since others need what it
    /// holds.
    pub fn is_to_be_cut(&self) -> bool {
        self.progress.take_evicted() && (self.is_busy() || self.is_blocked())
    }

    /// Since when the connection has done nothing.
    pub fn idle_since(&self) -> Option<Instant> {
        match self.phase() {
            Phase::Idle { since } if !self.dismissed.get() => Some(since),
            _ => None,
        }
    }

    /// Whether it is to be closed now.
    pub fn is_dismissed(&self) -> bool {
        self.dismissed.take() && matches!(self.phase(), Phase::Idle { .. })
    }

    /// Whoever runs this connection is to be woken for what it does not see itself.
    pub fn register(&self, cx: &Context<'_>) {
        self.progress.register(cx);
        match &mut *self.runner.borrow_mut() {
            Some(runner) => runner.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
    }

    /// How the connection knows what its client has taken.
    pub fn probe_with(&self, probe: Probe) {
        let _ = self.probe.set(probe);
    }

    /// Whether the client has taken more than was known of what is on its way, which is noted.
    pub fn has_taken_more(&self) -> bool {
        let taken = self.probe.get().map_or(0, Probe::taken);
        if taken > 0 {
            self.progress.took(taken);
            self.progress.waits_for_room();
        }
        taken > 0
    }

    pub fn request_cancelled(&self) {
        self.cancelled.set(self.cancelled.get() + 1);
    }

    pub fn request_began(&self) {
        self.begun.set(self.begun.get() + 1);
        self.phase.set(match self.phase.get() {
            Phase::Busy { requests } => Phase::Busy {
                requests: requests + 1,
            },
            Phase::Idle { .. } | Phase::Head { .. } | Phase::Rest => Phase::Busy { requests: 1 },
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
