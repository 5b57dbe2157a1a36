//! A link carries messages between the client of a WebSocket and its guest, and ends the connection as RFC 6455
//! section 7 wants it.

use super::close_code::{self, close_frame, fault};
use super::keep_alive::{Due, KeepAlive};
use super::message_rate::MessageRate;
use super::pace::Pace;
use super::wire::Wire;
use crate::connection::timeouts::{BEFORE_THE_END, CLOSE_ANSWERED};
use crate::request::Timer;
use crate::request::websocket::{Closed, Message, Outgoing, WebSocket};
use bytes::Bytes;
use std::io;
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::Frame as RawFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tokio_tungstenite::tungstenite::{Error, Message as Frame};

/// This much is read ahead at a time, and gathered before it is written.
const BUFFER: usize = 16 << 10;
const GATHERED: usize = 16 << 10;

/// A longer message is sent in parts, so that what waits to be written is short.
const PART: usize = 1 << 20;

/// A connection is looked at this often before others are.
const ROUNDS: usize = 32;

pub struct Link<T> {
    wire: Wire<T>,
    context: WebSocketContext,
    socket: WebSocket,
    state: LinkState,
    keep_alive: KeepAlive,
    message_rate: MessageRate,
    pace: Pace,
    /// This is left of a message of the guest's.
    rest: Option<(Data, Bytes)>,
    /// Nothing more is read until the guest has taken what came.
    is_paused: bool,
    /// The client is to be told at this time that the worker goes.
    leaves: Option<Instant>,
    timer: Timer,
}

#[derive(Clone, Copy)]
enum LinkState {
    Open,
    /// One end has said that it closes, when this many bytes had come.
    Closing {
        since: Instant,
        received: u64,
    },
    /// What comes is not understood any more, or has no room. The client is told, and nothing more is read.
    Failing {
        since: Instant,
    },
}

/// An `End` says how a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The client was told, or told us, and may still read.
    Closed,
    /// There is nobody any more.
    Gone,
}

/// `NextStep` says what is due at a time.
enum NextStep {
    KeepAlive(Due),
    Leave,
    /// A message that has begun does not come.
    Slow,
    /// The other end did not close in time.
    GiveUp,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Link<T> {
    pub fn new(wire: Wire<T>, socket: WebSocket) -> Link<T> {
        let settings = socket.settings;
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .write_buffer_size(GATHERED)
            .max_message_size(Some(settings.size))
            .max_frame_size(Some(settings.size));
        let now = Instant::now();
        Link {
            wire,
            context: WebSocketContext::new(Role::Server, Some(config)),
            keep_alive: KeepAlive::new(settings.ping_interval, settings.ping_timeout, now),
            message_rate: MessageRate::new(settings.rate),
            pace: Pace::new(settings.size, now),
            socket,
            state: LinkState::Open,
            rest: None,
            is_paused: false,
            leaves: None,
            timer: Timer::default(),
        }
    }

    /// Takes the link apart: the guest, which may not have ended, and what the connection ran over.
    pub fn into_parts(self) -> (WebSocket, T) {
        let gone = Closed::new(close_code::ABNORMAL, "");
        self.socket.session.channel().end(gone);
        (self.socket, self.wire.into_transport())
    }

    /// Resolves when others need what the connection holds.
    pub fn given_up(&self) -> impl Future<Output = ()> + use<T> {
        self.socket.session.given_up()
    }

    /// The worker goes at this time; at once where all go.
    pub fn leave(&mut self, until: Option<Instant>) {
        match until {
            None => self.close(close_code::AWAY, "the server stops"),
            Some(until) => self.leaves = Some(until.checked_sub(BEFORE_THE_END).unwrap_or(until)),
        }
    }

    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        for _ in 0..ROUNDS {
            if let Poll::Ready(end) = self.read(cx) {
                return Poll::Ready(end);
            }
            self.run(cx);
            if let Poll::Ready(end) = self.write(cx) {
                return Poll::Ready(end);
            }
            // The guest may have made room for what was not read.
            if !self.is_paused || !self.is_readable() {
                return self.poll_timer(cx);
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads for as long as there is room for what comes.
    fn read(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            self.is_paused = !self.is_readable();
            if self.is_paused {
                self.message_rate.rests(Instant::now());
                return Poll::Pending;
            }
            let before = self.wire.received();
            let (context, wire) = (&mut self.context, &mut self.wire);
            let read = self.socket.session.pay(|| context.read(&mut wire.now(cx)));
            if self.wire.received() > before {
                self.keep_alive.heard(Instant::now());
            }
            match read {
                Ok(frame) => self.take(cx, frame),
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.check_pace(cx);
                    let received = self.wire.received();
                    self.message_rate.waits(received, Instant::now());
                    return Poll::Pending;
                }
                Err(Error::ConnectionClosed) => return Poll::Ready(End::Closed),
                Err(
                    Error::Io(_)
                    | Error::AlreadyClosed
                    | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake),
                ) => return Poll::Ready(End::Gone),
                Err(error) => {
                    let (code, reason) = fault(&error);
                    self.fail(cx, code, reason);
                }
            }
        }
    }

    /// Says whether what comes is read: of an open connection, as far as the guest takes it.
    fn is_readable(&self) -> bool {
        match self.state {
            LinkState::Open => self.socket.session.channel().has_room(),
            LinkState::Closing { .. } => true,
            LinkState::Failing { .. } => false,
        }
    }

    fn take(&mut self, cx: &mut Context<'_>, frame: Frame) {
        let is_open = matches!(self.state, LinkState::Open);
        let message = match frame {
            Frame::Text(text) => Message::Text(text.as_str().to_owned()),
            Frame::Binary(bytes) => Message::Binary(bytes.into()),
            Frame::Close(close) => {
                if is_open {
                    let closed = match close {
                        Some(close) => self.wire.closed_with(close),
                        None => Closed::new(close_code::NO_CODE, ""),
                    };
                    self.socket.session.channel().end(closed.clone());
                    self.socket.record.closed(closed);
                    self.state = self.closing();
                }
                return;
            }
            Frame::Ping(data) | Frame::Pong(data) => {
                self.message_rate.control(&data);
                // Each is answered, and as many may have come as there was room for.
                if self.pace.control() {
                    self.check_pace(cx);
                }
                return;
            }
            Frame::Frame(_) => return,
        };
        self.pace.whole(self.wire.received());
        self.message_rate.whole(self.wire.received());
        if is_open {
            self.socket.record.received();
            self.socket.session.channel().deliver(message);
        }
    }

    fn closing(&self) -> LinkState {
        LinkState::Closing {
            since: Instant::now(),
            received: self.wire.received(),
        }
    }

    /// Fails the connection of a client that makes work and says nothing.
    fn check_pace(&mut self, cx: &mut Context<'_>) {
        let received = self.wire.received();
        let fault = self.pace.fault(received, Instant::now());
        match (self.state, fault) {
            (LinkState::Open, Some((code, reason))) => self.fail(cx, code, reason),
            (
                LinkState::Closing {
                    since,
                    received: before,
                },
                fault,
            ) if fault.is_some() || self.pace.is_too_much(received - before) => {
                self.state = LinkState::Failing { since };
            }
            _ => {}
        }
    }

    /// Runs the guest.
    fn run(&mut self, cx: &mut Context<'_>) {
        if !self.socket.session.is_over()
            && let Poll::Ready(Err(failure)) = self.socket.session.poll(cx)
        {
            self.socket.record.failed(&failure);
        }
    }

    /// Writes what the guest sends, as fast as the client takes it.
    fn write(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let flushed = self.context.flush(&mut self.wire.now(cx));
        if let Some(end) = ended(flushed) {
            return end;
        }
        while let LinkState::Open = self.state
            && let Some(frame) = self.next_frame()
        {
            let written = self.context.write(&mut self.wire.now(cx), frame);
            if let Some(end) = ended(written) {
                return end;
            }
        }
        let flushed = self.context.flush(&mut self.wire.now(cx));
        match (ended(flushed), self.state) {
            (Some(end), _) => end,
            (None, LinkState::Failing { .. }) => Poll::Ready(End::Closed),
            (None, _) => Poll::Pending,
        }
    }

    /// Finds what is to be written next.
    fn next_frame(&mut self) -> Option<Frame> {
        if let Some((opcode, bytes)) = self.rest.take() {
            return Some(self.part(opcode, bytes));
        }
        Some(match self.socket.session.channel().next_outgoing()? {
            Outgoing::Message(message) => {
                self.socket.record.sent();
                match message {
                    Message::Text(text) => self.part(Data::Text, text.into()),
                    Message::Binary(bytes) => self.part(Data::Binary, bytes.into()),
                }
            }
            Outgoing::Ping(data) => Frame::Ping(data.into()),
            Outgoing::Close(closed) => {
                let close = close_frame(&closed);
                self.socket.record.closed(closed);
                self.state = match self.socket.session.channel().is_given_up() {
                    true => LinkState::Failing {
                        since: Instant::now(),
                    },
                    false => self.closing(),
                };
                Frame::Close(Some(close))
            }
        })
    }

    /// Takes the first part of a message, which may be all of it; the rest is kept.
    fn part(&mut self, opcode: Data, mut bytes: Bytes) -> Frame {
        let part = bytes.split_to(bytes.len().min(PART));
        let is_last = bytes.is_empty();
        if !is_last {
            self.rest = Some((Data::Continue, bytes));
        }
        Frame::Frame(RawFrame::message(part, OpCode::Data(opcode), is_last))
    }

    /// Fails the connection, as what comes cannot be understood: the client is told why, and nothing more is read.
    fn fail(&mut self, cx: &mut Context<'_>, code: u16, reason: &str) {
        let closed = Closed::new(code, reason);
        self.socket.session.channel().end(closed.clone());
        let _ = self
            .context
            .close(&mut self.wire.now(cx), Some(close_frame(&closed)));
        self.socket.record.closed(closed);
        self.state = LinkState::Failing {
            since: Instant::now(),
        };
    }

    /// Closes the connection from this side, after what the guest has sent.
    fn close(&self, code: u16, reason: &str) {
        self.socket
            .session
            .channel()
            .close(Closed::new(code, reason));
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            let (state, leaves, keep_alive) = (self.state, self.leaves, self.keep_alive);
            let is_read = !self.is_paused;
            let slow = self.message_rate.deadline(self.socket.settings.idle);
            let next = || match state {
                LinkState::Closing { since, .. } | LinkState::Failing { since } => {
                    Some((since + CLOSE_ANSWERED, NextStep::GiveUp))
                }
                LinkState::Open => {
                    let alive = keep_alive.next(is_read);
                    let alive = alive.map(|(until, due)| (until, NextStep::KeepAlive(due)));
                    let leave = leaves.map(|until| (until, NextStep::Leave));
                    let slow = slow.map(|until| (until, NextStep::Slow));
                    let all = [alive, leave, slow].into_iter().flatten();
                    all.min_by_key(|(until, _)| *until)
                }
            };
            let Poll::Ready(due) = self.timer.poll(cx, next) else {
                return Poll::Pending;
            };
            match due {
                NextStep::GiveUp => return Poll::Ready(End::Gone),
                NextStep::Leave => {
                    self.leaves = None;
                    self.close(close_code::RESTART, "the worker is replaced");
                }
                NextStep::Slow => {
                    self.message_rate.rests(Instant::now());
                    self.fail(cx, close_code::POLICY, "a message does not come to its end");
                }
                NextStep::KeepAlive(Due::GiveUp) => {
                    self.keep_alive.heard(Instant::now());
                    self.close(close_code::FAILED, "no answer to a ping");
                }
                NextStep::KeepAlive(Due::Ping) => {
                    self.keep_alive.asked(Instant::now());
                    let ping = Frame::Ping(Vec::new().into());
                    let written = self.context.write(&mut self.wire.now(cx), ping);
                    if let Some(end) = ended(written) {
                        return end;
                    }
                }
            }
            if let Poll::Ready(end) = self.write(cx) {
                return Poll::Ready(end);
            }
        }
    }
}

/// Says whether writing has come to the end of the connection, or has to wait; none where it may go on.
fn ended(written: Result<(), Error>) -> Option<Poll<End>> {
    match written {
        Ok(()) => None,
        Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Some(Poll::Pending),
        Err(Error::ConnectionClosed) => Some(Poll::Ready(End::Closed)),
        Err(_) => Some(Poll::Ready(End::Gone)),
    }
}
