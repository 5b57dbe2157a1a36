//! This file records a request's spans: the server's, from the head of the request to the end of the response, and the
//! guest's within it. There is something to do only for traces that are recorded.

use super::Peer;
use super::client::Client;
use super::header_policy::Arrival;
use crate::scoreboard::Ended;
use crate::trace::{self, Span, SpanId, SpanKind, Trace};
use http::header::{HOST, USER_AGENT};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, Request, Version};
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

pub struct Spans {
    trace: Arc<Trace>,
    server: Span,
    started: SystemTime,
    /// The guest began at this time, counted from the start.
    guest: Cell<Option<Duration>>,
    /// The failure was of this kind, and this is said about it.
    failure: RefCell<Option<(&'static str, String)>>,
}

impl Spans {
    /// Returns `None` where nobody takes the spans of this request.
    pub fn begin<B>(
        arrival: &Arrival,
        request: &Request<B>,
        started: Instant,
    ) -> Option<Box<Spans>> {
        let trace = arrival.trace.as_ref()?;
        let mut server = trace.span(SpanKind::Server, trace.span)?;
        request.method().as_str().clone_into(&mut server.method);
        request.uri().path().clone_into(&mut server.path);
        let query = request.uri().query().unwrap_or_default();
        query.clone_into(&mut server.query);
        arrival.scheme.as_str().clone_into(&mut server.scheme);
        server.protocol = match request.version() {
            Version::HTTP_10 => "1.0",
            Version::HTTP_2 => "2",
            _ => "1.1",
        }
        .to_owned();
        server.user_agent = text(request.headers(), &USER_AGENT);
        if let Some(id) = arrival.id.as_ref().and_then(|id| id.to_str().ok()) {
            id.clone_into(&mut server.request_id);
        }
        if let Some(authority) = authority(arrival, request) {
            authority.host().clone_into(&mut server.host);
            server.port = authority.port_u16().unwrap_or_default().into();
        }
        if let Peer::Inet(peer) = arrival.peer {
            (server.peer, server.peer_port) = told(peer);
        }
        if let Client::Peer(Peer::Inet(client)) | Client::Forwarded(client) = arrival.client {
            (server.client, server.client_port) = told(client);
        }
        Some(Box::new(Spans {
            trace: trace.clone(),
            server,
            started: SystemTime::now() - started.elapsed(),
            guest: Cell::new(None),
            failure: RefCell::default(),
        }))
    }

    /// Notes that the guest begins, this long after the start.
    pub fn enter_guest(&self, after: Duration) {
        self.guest.set(Some(after));
    }

    pub fn failed(&self, kind: &'static str, message: String) {
        self.failure.replace(Some((kind, message)));
    }

    /// Ends the spans, as the request is over.
    pub fn end(self, ended: &Ended) {
        let Spans {
            trace,
            mut server,
            started,
            guest,
            failure,
        } = self;
        let status = ended.status.unwrap_or_default();
        server.lasts(started, ended.took);
        server.status = status.into();
        (server.received, server.sent) = (ended.received, ended.sent);
        let failure = failure.into_inner();
        let guest = guest.get().and_then(|after| {
            let mut guest = trace.span(SpanKind::Guest, SpanId::random())?;
            let left = ended.took.saturating_sub(after);
            guest.lasts(started + after, left);
            let running = ended.guest.unwrap_or_default().as_nanos();
            guest.running = u64::try_from(running).unwrap_or(u64::MAX);
            if let Some((kind, message)) = &failure {
                (guest.error, guest.message) = ((*kind).to_owned(), message.clone());
            }
            Some(guest)
        });
        match failure {
            Some((kind, message)) => (server.error, server.message) = (kind.to_owned(), message),
            None if status >= 500 => server.error = status.to_string(),
            None => {}
        }
        trace::record(server);
        if let Some(guest) = guest {
            trace::record(guest);
        }
    }
}

fn text(headers: &HeaderMap, name: &HeaderName) -> String {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}

/// Finds whom the client asked.
fn authority<B>(arrival: &Arrival, request: &Request<B>) -> Option<Authority> {
    let host = || text(request.headers(), &HOST).parse().ok();
    let named = arrival.authority.as_ref();
    let named = named.or_else(|| request.uri().authority());
    named.cloned().or_else(host)
}

fn told(address: SocketAddr) -> (String, u32) {
    let ip = address.ip().to_canonical();
    (ip.to_string(), address.port().into())
}
