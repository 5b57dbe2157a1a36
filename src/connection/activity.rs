//! A connection's `Activity` is its state, shared by those who see a part of it each, with who is to be woken when it
//! changes.

use super::eviction::Evictable;
use super::refusal::HeadRefusal;
use super::socket::Probe;
use super::state::{ConnectionPhase, ConnectionState};
use crate::request::{BodyReading, ClientProgress};
use http::{Uri, Version};
use std::cell::{Cell, OnceCell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// An `Activity` is shared by the stream, which sees bytes arrive and not leave, and the service, which sees requests
/// begin and end.
pub struct Activity {
    state: RefCell<ConnectionState>,
    rested: Notify,
    /// The client takes what is written to the connection like this. Of HTTP/1, whose requests come one by one, it also
    /// says how the client sends them.
    progress: Rc<ClientProgress>,
    /// The client sends no more since then; it may have left.
    ended: Rc<Cell<Option<Instant>>>,
    /// The runner of this connection is woken by this.
    runner: RefCell<Option<Waker>>,
    probe: OnceCell<Probe>,
}

impl Activity {
    /// Begins with an idle connection. Its client must take this many bytes per second while it is waited for.
    pub fn new(now: Instant, rate: u64) -> Activity {
        let ended = Rc::default();
        Activity {
            state: RefCell::new(ConnectionState::new(now)),
            rested: Notify::new(),
            progress: ClientProgress::new(rate, &ended),
            ended,
            runner: RefCell::new(None),
            probe: OnceCell::new(),
        }
    }

    pub fn phase(&self) -> ConnectionPhase {
        self.state.borrow().phase()
    }

    /// Says since when a head of HTTP/2 is unfinished, beside whatever else goes on.
    pub fn head_since(&self) -> Option<Instant> {
        self.state.borrow().head_since()
    }

    /// Says for how long there has been this connection.
    pub fn age(&self) -> Duration {
        self.state.borrow().age(Instant::now())
    }

    pub fn is_busy(&self) -> bool {
        self.state.borrow().is_busy()
    }

    /// Says whether the connection is busy where this many requests have come.
    pub fn is_busy_with(&self, requests: u64) -> bool {
        self.state.borrow().is_busy_with(requests)
    }

    pub fn progress(&self) -> &Rc<ClientProgress> {
        &self.progress
    }

    /// Notes the version of the client's last request.
    pub fn speaks(&self, version: Version) {
        self.state.borrow_mut().speaks(version);
    }

    pub fn is_http_1_0(&self) -> bool {
        self.state.borrow().is_http_1_0()
    }

    /// Says whether there was an answer, and nothing else since, so that some of it may still be on its way.
    pub fn has_answered(&self) -> bool {
        self.state.borrow().has_answered()
    }

    /// Refuses what came after this many requests of HTTP/1.
    pub fn refuse(&self, refusal: HeadRefusal, requests: u64) {
        self.state.borrow_mut().refuse(refusal, requests);
    }

    /// Returns the refusal that is due.
    pub fn refused(&self) -> Option<HeadRefusal> {
        self.state.borrow().refused()
    }

    /// Says whether the client makes work without wanting answers.
    pub fn is_abused(&self) -> bool {
        self.state.borrow().is_abused(Instant::now)
    }

    /// Notes that the client has reason to send this many further frames.
    pub fn earn(&self, frames: u64) {
        self.state.borrow_mut().earn(frames);
    }

    /// Notes that the client takes nothing of what is written, or some.
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

    /// Follows the frames of HTTP/2 from here on; whoever is trusted makes no work for its own sake.
    pub fn follow_frames(&self, longest_head: usize, is_trusted: bool) {
        let mut state = self.state.borrow_mut();
        state.follow_frames(longest_head, is_trusted, Instant::now());
    }

    /// Notes that bytes of HTTP/1 came: whether a body goes on after them, and whether a request began with them.
    pub fn received(&self, in_body: bool, begins: bool) {
        let mut state = self.state.borrow_mut();
        state.received(in_body, begins, Instant::now);
    }

    /// Notes that bytes of HTTP/2 came, changes some of them, and returns how many of them may be passed on.
    pub fn received_frames(&self, bytes: &mut [u8]) -> usize {
        self.state.borrow_mut().received_frames(bytes)
    }

    /// Notes that the answer to a request of HTTP/2 begins before all of its body has come; with none, that it has
    /// ended.
    pub fn answers_early(&self, stream: u32, reading: Option<&Arc<BodyReading>>) {
        self.state.borrow_mut().answers_early(stream, reading);
    }

    /// Says whether the request of a stream of HTTP/2 may be taken, whose target is put back.
    pub fn admits(&self, stream: u32, target: &mut Uri) -> bool {
        self.state.borrow_mut().admits(stream, target)
    }

    /// Says whether the client ended before its request was whole.
    pub fn is_cut_short(&self) -> bool {
        self.state.borrow().is_cut_short()
    }

    /// Notes that the client sends no more.
    pub fn end(&self) {
        if self.ended.get().is_none() {
            self.ended.set(Some(Instant::now()));
        }
    }

    pub fn ended_since(&self) -> Option<Instant> {
        self.ended.get()
    }

    /// Closes this connection if nobody loses an answer by that.
    pub fn evict(&self) {
        self.state.borrow_mut().evict();
        if let Some(runner) = self.runner.take() {
            runner.wake();
        }
    }

    /// Says, once, why the connection is to be closed now in favour of another, if it is.
    pub fn take_evicted(&self) -> Option<Evictable> {
        self.state.borrow_mut().take_evicted()
    }

    /// Resolves when the connection is to be closed in favour of another.
    pub async fn evicted(&self) {
        poll_fn(|cx| {
            self.register(cx);
            match self.take_evicted() {
                Some(_) => Poll::Ready(()),
                None => Poll::Pending,
            }
        })
        .await;
    }

    /// Says whether the request that is being answered, or the rest of its answer, is to end, since others need what it
    /// holds.
    pub fn is_to_be_cut(&self) -> bool {
        self.progress.take_evicted() && (self.is_busy() || self.is_blocked())
    }

    /// Says why the connection may be closed in favour of another, if it may.
    pub fn evictable(&self) -> Option<Evictable> {
        let why = self.state.borrow().evictable();
        // Of an answer some is still to be written.
        why.filter(|why| why.is_idle() || !self.is_blocked())
    }

    /// Has the runner of this connection woken for what it does not see itself.
    pub fn register(&self, cx: &Context<'_>) {
        self.progress.register(cx);
        match &mut *self.runner.borrow_mut() {
            Some(runner) => runner.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
    }

    /// Has the connection learn by a probe what its client has taken.
    pub fn probe_with(&self, probe: Probe) {
        let _ = self.probe.set(probe);
    }

    /// Says whether the client has taken more than was known of what is on its way, which is noted.
    pub fn has_taken_more(&self) -> bool {
        let taken = self.probe.get().map_or(0, Probe::taken);
        if taken > 0 {
            self.progress.took(taken);
            self.progress.waits_for_room();
        }
        taken > 0
    }

    /// Notes that the client went away from a request before there was an answer.
    pub fn request_cancelled(&self) {
        self.state.borrow_mut().request_cancelled();
    }

    pub fn request_began(&self) {
        self.state.borrow_mut().request_began();
    }

    pub fn request_ended(&self) {
        self.state.borrow_mut().request_ended(Instant::now());
        self.rested.notify_one();
    }
}
