//! A `SessionRecord` is what is recorded of WebSockets: how many there are, a line when one ends, and the reason where its
//! guest failed.

use crate::guest::Failure;
use crate::guest::websocket::Closed;
use crate::log::{self, Level};
use crate::request::client::Client;
use crate::request::exchange::kind;
use crate::scoreboard::{SlotRef, totals};
use crate::trace::{self, Span, SpanId, SpanKind, Trace};
use http::HeaderValue;
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

/// `Opener` says who opened the WebSocket, and how.
pub struct Opener {
    pub client: Client,
    /// The target is path and query.
    pub target: String,
    /// The opening request has this id.
    pub id: Option<HeaderValue>,
    pub trace: Option<Arc<Trace>>,
    /// The guest has accepted, so that there is a WebSocket and not only a session.
    pub is_open: bool,
    /// The end of the WebSocket is logged.
    pub is_logged: bool,
}

/// A `SessionRecord` is a WebSocket on its way; it is over when it is dropped.
pub struct SessionRecord {
    opened: Opener,
    slot: SlotRef,
    began: Instant,
    received: Cell<u64>,
    sent: Cell<u64>,
    closed: RefCell<Option<Closed>>,
    /// The span of the WebSocket is there where somebody takes it; with the time when it began.
    span: RefCell<Option<(Span, SystemTime)>>,
}

impl SessionRecord {
    /// Begins once the opening request was answered, which has a line of its own.
    pub fn begin(opened: Opener, slot: &SlotRef) -> SessionRecord {
        slot.websocket_opened();
        let trace = opened.trace.as_ref().filter(|_| opened.is_open);
        let span = trace.and_then(|trace| trace.span(SpanKind::WebSocket, SpanId::random()));
        SessionRecord {
            opened,
            slot: slot.clone(),
            began: Instant::now(),
            received: Cell::new(0),
            sent: Cell::new(0),
            closed: RefCell::new(None),
            span: RefCell::new(span.map(|span| (span, SystemTime::now()))),
        }
    }

    /// Notes that a message came.
    pub fn received(&self) {
        self.received.set(self.received.get() + 1);
    }

    /// Notes that a message was sent.
    pub fn sent(&self) {
        self.sent.set(self.sent.get() + 1);
    }

    /// Notes that the connection is closed; only the first reason counts.
    pub fn closed(&self, closed: Closed) {
        self.closed.borrow_mut().get_or_insert(closed);
    }

    /// Notes that the guest failed, and says so in the log.
    pub fn failed(&self, failure: &Failure) {
        let kind = kind(failure);
        self.slot.guest_failed(kind);
        self.slot.failed_later();
        if let Some((span, _)) = &mut *self.span.borrow_mut() {
            totals::GUEST_FAILURE_KINDS[kind as usize].clone_into(&mut span.error);
            span.message = failure.to_string();
        }
        let trace = self.opened.trace.as_deref();
        let id = self.opened.id.as_ref().and_then(|id| id.to_str().ok());
        let name = match log::request_name(id, trace) {
            name if name.is_empty() => name,
            name => format!(" [{name}]"),
        };
        let (client, target) = (&self.opened.client, self.shown_target());
        let message = format_args!("{client} \"WebSocket {target}\"{name}: {failure}");
        log::write_of(Level::Error, trace, message);
    }

    fn shown_target(&self) -> String {
        let mut target = String::new();
        log::push_target(&mut target, &self.opened.target);
        target
    }
}

impl Drop for SessionRecord {
    fn drop(&mut self) {
        self.slot.websocket_closed();
        let closed = self.closed.take().unwrap_or(Closed::new(ABNORMAL, ""));
        if let Some((mut span, began)) = self.span.take() {
            span.lasts(began, self.began.elapsed());
            span.code = closed.code.into();
            (span.received, span.sent) = (self.received.get(), self.sent.get());
            trace::record(span);
        }
        if !self.opened.is_logged {
            return;
        }
        let reason = match closed.reason.as_str() {
            "" => String::new(),
            reason => format!(" ({})", log::escape(reason)),
        };
        let message = format_args!(
            "{} - \"WebSocket {}\" closed {}{reason} after {:.3} s, {} messages received, {} sent",
            self.opened.client,
            self.shown_target(),
            closed.code,
            self.began.elapsed().as_secs_f64(),
            self.received.get(),
            self.sent.get(),
        );
        log::write_of(Level::Info, self.opened.trace.as_deref(), message);
    }
}

/// The client left without closing (RFC 6455 section 7.1.5).
const ABNORMAL: u16 = 1006;
