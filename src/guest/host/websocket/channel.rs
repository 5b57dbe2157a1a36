//! A `Channel` stands between a guest and the connection of its client: the answer to the opening request, and queues
//! of messages in both directions, which are bounded.

use http::HeaderMap;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// A message is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    Text(String),
    Binary(Vec<u8>),
}

impl Message {
    pub fn size(&self) -> usize {
        match self {
            Message::Text(text) => text.len(),
            Message::Binary(bytes) => bytes.len(),
        }
    }
}

/// `Closed` says how a connection ended (RFC 6455 section 7.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    pub code: u16,
    pub reason: String,
}

impl Closed {
    pub fn new(code: u16, reason: &str) -> Closed {
        Closed {
            code,
            reason: reason.to_owned(),
        }
    }
}

/// The client is to be sent this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    Message(Message),
    Ping(Vec<u8>),
    Close(Closed),
}

/// An `OpeningAnswer` is the guest's answer to the opening request.
#[derive(Debug)]
pub enum OpeningAnswer {
    Accepted {
        subprotocol: Option<String>,
        headers: HeaderMap,
    },
    Rejected {
        status: u16,
        headers: HeaderMap,
        body: Vec<u8>,
    },
}

/// `Bounds` limits what waits in each direction.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// This many messages wait, at most.
    pub messages: usize,
    /// The client's messages are taken until this many bytes of them wait.
    pub received: usize,
    /// The guest's messages are taken until this many bytes of them wait.
    pub sent: usize,
}

pub struct Channel {
    bounds: Bounds,
    state: Mutex<ChannelState>,
    changed: Notify,
}

/// A `Handshake` says what became of the opening request.
enum Handshake {
    Undecided,
    /// The answer is there, and the client has not been given it yet.
    Decided(OpeningAnswer),
    /// The client has its answer; there is a WebSocket where the guest accepted.
    Answered,
}

struct ChannelState {
    handshake: Handshake,
    received: Queue<Message>,
    sent: Queue<Outgoing>,
    /// The connection is over, for the guest, and ended like this.
    closed: Option<Closed>,
    /// A message was last received or sent at this time.
    moved: Instant,
    /// The guest has taken a message at this time, or there was none before.
    taken: Instant,
    /// Others need what the connection holds.
    is_given_up: bool,
}

impl ChannelState {
    fn received_fit(&self, bounds: Bounds) -> bool {
        self.received.has_room(bounds.messages, bounds.received)
    }

    fn sent_fit(&self, bounds: Bounds) -> bool {
        self.sent.has_room(bounds.messages, bounds.sent)
    }
}

/// A `Queue` knows how many bytes are in it.
struct Queue<T> {
    items: VecDeque<T>,
    bytes: usize,
}

impl<T> Queue<T> {
    fn new() -> Queue<T> {
        Queue {
            items: VecDeque::new(),
            bytes: 0,
        }
    }

    fn has_room(&self, messages: usize, bytes: usize) -> bool {
        self.items.len() < messages && self.bytes < bytes
    }

    fn push(&mut self, item: T, bytes: usize) {
        self.bytes += bytes;
        self.items.push_back(item);
    }
}

impl Channel {
    pub fn new(bounds: Bounds) -> Channel {
        Channel {
            bounds,
            state: Mutex::new(ChannelState {
                handshake: Handshake::Undecided,
                received: Queue::new(),
                sent: Queue::new(),
                closed: None,
                moved: Instant::now(),
                taken: Instant::now(),
                is_given_up: false,
            }),
            changed: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, ChannelState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers the opening request for the guest, and says whether that may be.
    pub fn answer(&self, answer: OpeningAnswer) -> bool {
        let mut state = self.state();
        let may = matches!(state.handshake, Handshake::Undecided) && state.closed.is_none();
        if may {
            if let OpeningAnswer::Rejected { status, .. } = &answer {
                let reason = format!("it was rejected with the status {status}");
                state.closed = Some(Closed::new(NOT_OPENED, &reason));
            }
            state.handshake = Handshake::Decided(answer);
        }
        may
    }

    /// Takes the guest's answer to the opening request, once.
    pub fn take_answer(&self) -> Option<OpeningAnswer> {
        let mut state = self.state();
        match std::mem::replace(&mut state.handshake, Handshake::Answered) {
            Handshake::Decided(answer) => Some(answer),
            other => {
                state.handshake = other;
                None
            }
        }
    }

    /// Says whether a further message of the client's has room.
    pub fn has_room(&self) -> bool {
        self.state().received_fit(self.bounds)
    }

    /// Gives the guest a message of the client's.
    pub fn deliver(&self, message: Message) {
        let mut state = self.state();
        state.moved = Instant::now();
        if state.closed.is_none() {
            let bytes = message.size();
            if state.received.items.is_empty() {
                state.taken = state.moved;
            }
            state.received.push(message, bytes);
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Takes what the client is to be sent next.
    pub fn next_outgoing(&self) -> Option<Outgoing> {
        let mut state = self.state();
        let next = state.sent.items.pop_front()?;
        if let Outgoing::Message(message) = &next {
            state.sent.bytes -= message.size();
            state.moved = Instant::now();
        }
        drop(state);
        self.changed.notify_waiters();
        Some(next)
    }

    /// Notes that the client has closed the connection, or is gone: nothing more can be sent.
    pub fn end(&self, closed: Closed) {
        let mut state = self.state();
        state.sent = Queue::new();
        state.closed.get_or_insert(closed);
        drop(state);
        self.changed.notify_waiters();
    }

    /// Closes the connection from this side, after what was sent. Only the first who closes it does.
    pub fn close(&self, closed: Closed) {
        let mut state = self.state();
        if state.closed.is_none() {
            state.closed = Some(closed.clone());
            state.sent.push(Outgoing::Close(closed), 0);
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Closes the connection for the guest, which wants to receive nothing more.
    pub fn leave(&self, closed: Closed) {
        self.close(closed);
        self.state().received = Queue::new();
    }

    /// Closes the connection since others need what it holds, which is dropped.
    pub fn give_up(&self, closed: Closed) {
        let mut state = self.state();
        state.received = Queue::new();
        state.sent = Queue::new();
        state.is_given_up = true;
        drop(state);
        self.close(closed);
    }

    pub fn is_given_up(&self) -> bool {
        self.state().is_given_up
    }

    /// Resolves when the connection is given up.
    pub async fn given_up(&self) {
        self.wait(|state| state.is_given_up).await;
    }

    /// Takes the next message for the guest, where one has come.
    pub fn receive(&self) -> Result<Option<Message>, Closed> {
        let mut state = self.state();
        if let Some(message) = state.received.items.pop_front() {
            state.received.bytes -= message.size();
            state.taken = Instant::now();
            return Ok(Some(message));
        }
        match &state.closed {
            Some(closed) => Err(closed.clone()),
            None => Ok(None),
        }
    }

    /// Resolves when `receive` has something to say.
    pub async fn receivable(&self) {
        let is_ready =
            |state: &ChannelState| !state.received.items.is_empty() || state.closed.is_some();
        self.wait(is_ready).await;
    }

    /// Queues something of the guest's where there is room for it, and gives it back where there is none.
    pub fn send(&self, outgoing: Outgoing) -> Result<Option<Outgoing>, Closed> {
        let mut state = self.state();
        if let Some(closed) = &state.closed {
            return Err(closed.clone());
        }
        if matches!(state.handshake, Handshake::Undecided) {
            return Err(Closed::new(NOT_OPENED, "it was not accepted yet"));
        }
        if !state.sent_fit(self.bounds) {
            return Ok(Some(outgoing));
        }
        let bytes = match &outgoing {
            Outgoing::Message(message) => message.size(),
            Outgoing::Ping(_) | Outgoing::Close(_) => 0,
        };
        state.sent.push(outgoing, bytes);
        Ok(None)
    }

    /// Resolves when `send` has room, or nothing can be sent any more.
    pub async fn sendable(&self) {
        let is_ready = |state: &ChannelState| state.sent_fit(self.bounds) || state.closed.is_some();
        self.wait(is_ready).await;
    }

    async fn wait(&self, is_ready: impl Fn(&ChannelState) -> bool) {
        loop {
            let changed = self.changed.notified();
            if is_ready(&self.state()) {
                return;
            }
            changed.await;
        }
    }

    /// Says how many bytes the guest leaves untaken, and for how long no message has moved; none where nothing would be
    /// gained by giving the connection up.
    pub fn burden(&self, now: Instant) -> Option<(usize, Duration)> {
        let state = self.state();
        let is_over = state.closed.is_some() && state.received.items.is_empty();
        let is_stuck = now.saturating_duration_since(state.taken) >= STUCK;
        let untaken = if is_stuck { state.received.bytes } else { 0 };
        let idle = now.saturating_duration_since(state.moved);
        (!is_over && !state.is_given_up).then_some((untaken, idle))
    }

    /// Says whether the connection has ended, and the guest has not taken what came before.
    pub fn is_abandoned(&self) -> bool {
        let state = self.state();
        state.closed.is_some() && !state.received.items.is_empty() && !state.is_given_up
    }
}

/// A guest that takes none of its messages for this long does not keep up.
const STUCK: Duration = Duration::from_secs(1);

/// This code stands for a connection that ended without being closed: there is none, or none yet.
const NOT_OPENED: u16 = 1006;

#[cfg(test)]
mod tests;
