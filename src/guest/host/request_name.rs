//! A `RequestName` says which request an instance works for: to whoever reads the log, and to the servers that the
//! guest asks.

use crate::trace::Trace;
use http::{HeaderValue, Request};
use std::sync::Arc;

#[derive(Clone, Debug)]
pub struct RequestName {
    pub id: Option<HeaderValue>,
    pub trace: Option<Arc<Trace>>,
}

impl RequestName {
    /// Returns `None` where a request has no name.
    pub fn of<B>(request: &Request<B>) -> Option<RequestName> {
        let name = RequestName {
            id: request.headers().get("x-request-id").cloned(),
            trace: request.extensions().get().cloned(),
        };
        (name.id.is_some() || name.trace.is_some()).then_some(name)
    }
}
