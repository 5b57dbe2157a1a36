//! What is recorded of one exchange: the counters of the scoreboard, the access log, and the reason
//! where it failed.

use super::client::Client;
use super::front::Arrival;
use crate::guest::Failure;
use crate::scoreboard::SlotRef;
use crate::{error, log};
use http::{HeaderValue, Method, Request, StatusCode, Uri, Version};
use std::cell::Cell;
use std::time::Instant;

/// One request on its way; it is over when it is dropped.
pub struct Exchange {
    client: Client,
    id: Option<HeaderValue>,
    method: Method,
    target: Uri,
    version: Version,
    started: Instant,
    status: Cell<Option<StatusCode>>,
    sent: Cell<u64>,
    logged: bool,
    slot: SlotRef,
}

impl Exchange {
    pub fn begin<B>(
        arrival: &Arrival,
        request: &Request<B>,
        slot: &SlotRef,
        logged: bool,
    ) -> Exchange {
        slot.request_began();
        Exchange {
            client: arrival.client,
            id: arrival.id.clone(),
            method: request.method().clone(),
            target: request.uri().clone(),
            version: request.version(),
            started: Instant::now(),
            status: Cell::new(None),
            sent: Cell::new(0),
            logged,
            slot: slot.clone(),
        }
    }

    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The guest is about to run: should it hang, this is what its worker was answering.
    pub fn enter_guest(&self) {
        self.slot
            .answering(self.method.as_str(), self.target.path());
    }

    /// The head of the response is known.
    pub fn head(&self, status: StatusCode) {
        self.status.set(Some(status));
    }

    /// Bytes of the response body were handed to the connection.
    pub fn sent(&self, bytes: u64) {
        self.sent.set(self.sent.get() + bytes);
    }

    /// The guest failed; says so in the log, with the request.
    pub fn failed(&self, failure: &Failure) {
        self.slot.guest_failed();
        let id = self.id.as_ref().and_then(|id| id.to_str().ok());
        let id = id.map_or(String::new(), |id| format!(" [{id}]"));
        error!(
            "{} \"{} {}\"{id}: {failure}",
            self.client,
            self.method,
            log::escape(&self.target.to_string())
        );
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let status = self.status.get().map(|status| status.as_u16());
        self.slot
            .request_ended(status, self.sent.get(), self.started.elapsed());
        // Without a status the client went away before there was an answer.
        if let (true, Some(status)) = (self.logged, self.status.get()) {
            log::access(format_args!(
                "{} - \"{} {} {:?}\" {}",
                self.client,
                self.method,
                self.target,
                self.version,
                Shown(status)
            ));
        }
    }
}

/// `200 OK`, as uvicorn writes it.
struct Shown(StatusCode);

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.canonical_reason() {
            Some(reason) => write!(f, "{} {reason}", self.0.as_u16()),
            None => write!(f, "{}", self.0.as_u16()),
        }
    }
}
