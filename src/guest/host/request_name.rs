//! A `RequestName` says which request an instance works for: to whoever reads the log, to the servers that the guest
//! asks, and to who records it.

use crate::guest::recording::Recorder;
use crate::trace::Trace;
use http::{HeaderValue, Request};
use std::sync::Arc;

#[derive(Clone)]
pub struct RequestName {
    pub id: Option<HeaderValue>,
    pub trace: Option<Arc<Trace>>,
    /// The request is recorded by it, if it is.
    pub recorder: Option<Arc<Recorder>>,
}

impl RequestName {
    /// Returns `None` where a request has no name.
    pub fn of<B>(request: &Request<B>) -> Option<RequestName> {
        let name = RequestName {
            id: request.headers().get("x-request-id").cloned(),
            trace: request.extensions().get().cloned(),
            recorder: request.extensions().get().cloned(),
        };
        let RequestName {
            id,
            trace,
            recorder,
        } = &name;
        let named = id.is_some() || trace.is_some() || recorder.is_some();
        named.then_some(name)
    }
}
