//! The requests that a guest sends pass the rules first, and go through connections that all instances of this
//! process share.

mod body;
mod connect;
mod error_code;
mod headers;
mod named_host;
mod roots;
mod send;
mod span;
pub mod transmission;

pub use headers::named_by_connection;
pub use roots::{Roots, tls};
pub use send::OutboundClient;

use super::network::Rules;
use crate::guest::recording::{Asked, Recorder, swallow};
use crate::trace::{SpanId, Trace};
use http::HeaderName;
use span::ClientSpan;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::Semaphore;
use wasmtime_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, Error, RequestOptions, WasiBody, WasiHttpHooks,
};

/// `Settings` says whom guests may ask, and what asking may take.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub rules: Rules,
    pub roots: Roots,
    pub times: Times,
    /// One request that is answered may cause this many at a time.
    pub of_one: usize,
    /// All instances of one worker may send this many requests at a time.
    pub of_all: usize,
}

/// `Times` limits each step; a guest may ask for less.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    /// A connection must be there by then: waiting for a permit, looking up, connecting and TLS together.
    pub connect: Duration,
    /// The head of the response must come within this time after the last byte was sent.
    pub first_byte: Duration,
    /// The next piece of the response must come within this time.
    pub between_bytes: Duration,
}

impl Times {
    fn within(self, asked: Option<RequestOptions>) -> Times {
        let asked = asked.unwrap_or_default();
        let shorter =
            |ours: Duration, asked: Option<Duration>| asked.map_or(ours, |asked| asked.min(ours));
        Times {
            connect: shorter(self.connect, asked.connect_timeout),
            first_byte: shorter(self.first_byte, asked.first_byte_timeout),
            between_bytes: shorter(self.between_bytes, asked.between_bytes_timeout),
        }
    }
}

/// `Outbound` is the way out of one instance.
pub struct Outbound {
    client: Arc<OutboundClient>,
    /// The instance has so many permits of its own, from when it first asks somebody.
    permits: usize,
    own: OnceLock<Arc<Semaphore>>,
    /// The request that is being answered belongs to this trace.
    trace: Option<Arc<Trace>>,
    /// The request that is being answered is recorded by it, if it is.
    recorder: Option<Arc<Recorder>>,
}

impl Outbound {
    /// Makes the way out for an instance that answers this many requests at a time.
    pub fn new(
        client: &Arc<OutboundClient>,
        concurrency: usize,
        trace: Option<Arc<Trace>>,
    ) -> Outbound {
        let permits = client.settings().of_one.saturating_mul(concurrency);
        Outbound {
            permits: permits.min(Semaphore::MAX_PERMITS),
            own: OnceLock::new(),
            client: client.clone(),
            trace,
            recorder: None,
        }
    }

    /// Notes who records the request that is being answered.
    pub fn set_recorder(&mut self, recorder: Option<Arc<Recorder>>) {
        self.recorder = recorder;
    }

    /// Notes for which of several requests the guest asks next.
    pub fn set_trace(&mut self, trace: Option<Arc<Trace>>) {
        self.trace = trace;
    }
}

/// `Rest` is what is left to do for a request once its head is there: nothing, the connection has a task.
type Rest = Box<dyn Future<Output = Result<(), Error>> + Send>;

type ResponseResult = Result<(http::Response<WasiBody>, Rest), Error>;

impl WasiHttpHooks for Outbound {
    /// Decides as the engine does by default, without making a closure for each field.
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        DEFAULT_FORBIDDEN_HEADERS.contains(name)
    }

    /// Leaves the field to the client, which sets it after it has chosen the protocol, if that has one.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn send_request(
        &mut self,
        mut request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _done: Rest,
    ) -> Box<dyn Future<Output = ResponseResult> + Send> {
        let recorder = self.recorder.clone();
        let asked = recorder.map(|recorder| {
            let called = format!("{} {}", request.method(), request.uri());
            (recorder.ask(called), recorder)
        });
        let note = match asked {
            Some((Asked::Then(answer), _)) => return again(answer, request.into_body()),
            Some((Asked::Now(index), recorder)) => index.map(|index| (index, recorder)),
            None => None,
        };
        let span = self.trace.as_ref().and_then(|trace| {
            let id = SpanId::random();
            trace.announce_child(id, request.headers_mut());
            ClientSpan::begin(trace, id, &request)
        });
        let client = self.client.clone();
        let own = || Arc::new(Semaphore::new(self.permits));
        let own = self.own.get_or_init(own).clone();
        Box::new(async move {
            let mut answer = client.send(own, request, options).await;
            if let Some((index, recorder)) = note {
                recorder.answered(index, &mut answer);
            }
            let response = match span {
                Some(span) => span.answered(answer)?,
                None => answer?,
            };
            let rest: Rest = Box::new(std::future::ready(Ok(())));
            Ok((response, rest))
        })
    }
}

/// Gives an answer that was recorded, or none ever.
fn again(
    answer: Option<Result<http::Response<WasiBody>, Error>>,
    body: WasiBody,
) -> Box<dyn Future<Output = ResponseResult> + Send> {
    Box::new(async move {
        tokio::spawn(swallow(body));
        let response = match answer {
            Some(answer) => answer?,
            None => std::future::pending().await,
        };
        let rest: Rest = Box::new(std::future::ready(Ok(())));
        Ok((response, rest))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_may_ask_for_less_time_and_not_for_more() {
        let second = Duration::from_secs(1);
        let ours = Times {
            connect: second,
            first_byte: second,
            between_bytes: second,
        };
        let times = ours.within(Some(RequestOptions {
            connect_timeout: Some(second / 2),
            first_byte_timeout: Some(second * 2),
            between_bytes_timeout: None,
        }));
        assert_eq!(times.connect, second / 2);
        assert_eq!(times.first_byte, second);
        assert_eq!(times.between_bytes, second);
    }
}
