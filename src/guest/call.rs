//! One request inside one instance: a future that is the running guest, and the place where it leaves the
//! head of its response.

use super::failure::Failure;
use super::meter::Meter;
use super::ticker::Ticker;
use super::turn::{Turn, Turns};
use http_body::Body as _;
use http_body_util::BodyExt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use wasmtime_wasi_http::WasiBody;

/// A request as guests get it: the target is absolute, with scheme and authority. It goes through many hands.
pub type Request = Box<http::Request<WasiBody>>;

type Head = Result<http::Response<WasiBody>, String>;

/// Filled once, by the guest. The host's resources demand a lock where one thread would do.
#[derive(Clone, Default)]
pub struct HeadSlot(Arc<Mutex<Option<Head>>>);

impl HeadSlot {
    pub fn put(&self, head: Head) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(head);
    }

    pub fn take(&self) -> Option<Head> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The guest at work. It makes progress only while it is polled, and is gone when it is dropped.
pub struct Running {
    guest: Pin<Box<dyn Future<Output = Result<(), Failure>>>>,
    ticker: Arc<Ticker>,
    share: Arc<Share>,
}

/// A guest's share of the processor.
pub struct Share {
    pub meter: Meter,
    pub turn: Turn,
}

impl Share {
    pub fn new(cpu: Duration, turns: &Turns) -> Arc<Share> {
        Arc::new(Share {
            meter: Meter::new(cpu),
            turn: Turn::new(turns),
        })
    }

    /// For a guest that has no neighbours.
    pub fn unlimited() -> Arc<Share> {
        Share::new(Duration::MAX, &Turns::default())
    }
}

impl Running {
    pub fn new(
        guest: impl Future<Output = Result<(), Failure>> + 'static,
        ticker: Arc<Ticker>,
        share: Arc<Share>,
    ) -> Running {
        Running {
            guest: Box::pin(guest),
            ticker,
            share,
        }
    }
}

impl Running {
    /// Its response has begun, and is taken as fast as its client likes.
    pub fn begins_body(self) -> Running {
        self.share.turn.end();
        self
    }
}

impl Future for Running {
    type Output = Result<(), Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Running {
            guest,
            ticker,
            share,
        } = &mut *self;
        ticker.wind();
        let polled = share.meter.measure(|| guest.as_mut().poll(cx));
        share.turn.pause();
        polled
    }
}

/// Whether asking once more can do no harm (RFC 9110 section 9.2.1), and nothing of the request is used up.
pub fn is_repeatable(request: &Request) -> bool {
    request.method().is_safe() && request.body().is_end_stream()
}

/// The same request once more.
pub fn copy(request: &Request) -> Option<Request> {
    if !is_repeatable(request) {
        return None;
    }
    let empty = http_body_util::Empty::new().map_err(|never| match never {});
    let mut copy = http::Request::new(empty.boxed_unsync());
    copy.method_mut().clone_from(request.method());
    copy.uri_mut().clone_from(request.uri());
    *copy.version_mut() = request.version();
    copy.headers_mut().clone_from(request.headers());
    Some(Box::new(copy))
}
