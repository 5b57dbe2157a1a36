//! What a connection refuses before it is a request is recorded like a request: it has a line in the access log, is
//! counted, and has a span.

use super::Exchange;
use crate::request::{Origin, Requests};
use http::{Method, Request, Response, StatusCode, Uri};
use std::time::Instant;

/// This stands for a method, and for a target, that cannot be read.
const UNREAD: &str = "-";

impl Requests {
    /// Returns a request of which nothing is known.
    pub fn unread() -> Request<()> {
        let mut unread = Request::new(());
        // It is a token, and has the form of an authority.
        *unread.method_mut() = Method::from_bytes(UNREAD.as_bytes()).unwrap_or_default();
        *unread.uri_mut() = Uri::from_static(UNREAD);
        unread
    }

    /// Records what was refused with this status and a body of this many bytes. Its head began to come at `since`; of
    /// its fields none is believed.
    pub fn record_refused(
        &self,
        origin: &Origin,
        asked: Option<Request<()>>,
        since: Instant,
        status: StatusCode,
        sent: u64,
    ) {
        let mut request = asked.unwrap_or_else(Requests::unread);
        let policy = &self.settings.header_policy;
        let mut arrival = policy.receive(origin, request.headers_mut(), &self.ids);
        if let Some(tracing) = self.settings.tracing {
            arrival.trace(tracing, false, &mut request);
        }
        let is_logged = self.settings.access_log;
        let exchange = Exchange::begin_since(&arrival, &request, &self.slot, is_logged, since);
        let mut response = Response::new(());
        *response.status_mut() = status;
        exchange.head(&response);
        exchange.sent(sent, true);
    }
}
