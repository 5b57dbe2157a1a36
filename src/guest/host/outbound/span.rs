//! A client span says of a guest's own request what came of it, from the moment that it is sent until its answer was
//! taken, or given up.

use crate::guest::observed::{Observed, Observer};
use crate::trace::{self, Span, SpanId, SpanKind, Trace};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::BodyExt;
use std::time::{Instant, SystemTime};
use wasmtime_wasi_http::{Error, WasiBody};

/// A `ClientSpan` is recorded when it is dropped.
pub struct ClientSpan {
    span: Span,
    started: SystemTime,
    began: Instant,
}

impl ClientSpan {
    /// Returns `None` where nobody takes the spans of this trace.
    pub fn begin<B>(trace: &Trace, id: SpanId, request: &Request<B>) -> Option<ClientSpan> {
        let mut span = trace.span(SpanKind::Client, id)?;
        let uri = request.uri();
        request.method().as_str().clone_into(&mut span.method);
        uri.path().clone_into(&mut span.path);
        uri.query().unwrap_or_default().clone_into(&mut span.query);
        let scheme = uri.scheme_str().unwrap_or_default();
        scheme.clone_into(&mut span.scheme);
        uri.host().unwrap_or_default().clone_into(&mut span.host);
        span.port = uri.port_u16().unwrap_or_default().into();
        Some(ClientSpan {
            span,
            started: SystemTime::now(),
            began: Instant::now(),
        })
    }

    /// Notes how the request went, and goes on with the body of the answer.
    pub fn answered(
        mut self,
        answer: Result<Response<WasiBody>, Error>,
    ) -> Result<Response<WasiBody>, Error> {
        match answer {
            Ok(response) => {
                let status = response.status();
                self.span.status = status.as_u16().into();
                if status.is_client_error() || status.is_server_error() {
                    self.span.error = status.as_u16().to_string();
                }
                Ok(response.map(|body| Observed::new(body, Some(self)).boxed_unsync()))
            }
            Err(error) => {
                self.failed(&error);
                Err(error)
            }
        }
    }

    fn failed(&mut self, error: &Error) {
        let said = format!("{error:?}");
        let name = said.split(|letter: char| !letter.is_ascii_alphanumeric());
        name.take(1)
            .collect::<String>()
            .clone_into(&mut self.span.error);
        self.span.message = error.to_string();
    }
}

impl Drop for ClientSpan {
    fn drop(&mut self) {
        let mut span = std::mem::take(&mut self.span);
        if span.status == 0 && span.error.is_empty() {
            "cancelled".clone_into(&mut span.error);
        }
        span.lasts(self.started, self.began.elapsed());
        trace::record(span);
    }
}

/// The span of an answer is over with its body.
impl Observer for Option<ClientSpan> {
    fn sees(&mut self, frame: Option<&Result<Frame<Bytes>, Error>>) {
        match (frame, &mut *self) {
            (Some(Ok(frame)), Some(measured)) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                measured.span.received += length as u64;
            }
            (Some(Err(error)), Some(measured)) => measured.failed(error),
            (None, _) => *self = None,
            _ => {}
        }
    }
}
