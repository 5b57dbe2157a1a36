//! The bodies of a guest's requests note when they last made progress, and the bodies of responses may pause only for
//! this long.

use super::error_code::{self, Why};
use crate::guest::observed::{Observed, Observer};
use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep, timeout};
use wasmtime_wasi_http::{Error, WasiBody};

/// `LastProgress` is the time when a request last made progress.
#[derive(Clone)]
pub struct LastProgress(Arc<Mutex<Instant>>);

impl LastProgress {
    pub fn now() -> LastProgress {
        LastProgress(Arc::new(Mutex::new(Instant::now())))
    }

    pub fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

/// A request waits for this long for its guest to begin the body, or to say that there is none.
const BEGIN: Duration = Duration::from_millis(20);

/// Waits for the first piece of a body, which may turn out to be none at all, as the head has to tell: 0.3 guests say
/// it with an empty stream only.
pub async fn begun(mut request: Request<WasiBody>) -> Result<Request<WasiBody>, Error> {
    let body = request.body_mut();
    if body.is_end_stream() || body.size_hint().exact().is_some() {
        return Ok(request);
    }
    let first = match timeout(BEGIN, body.frame()).await {
        Err(_) => return Ok(request),
        Ok(None) => return Ok(request.map(|_| empty())),
        Ok(Some(frame)) => frame?,
    };
    Ok(request.map(|rest| {
        let first = Some(first);
        Begun { first, rest }.boxed_unsync()
    }))
}

pub fn empty() -> WasiBody {
    let empty = Empty::<Bytes>::new();
    empty.map_err(|never| match never {}).boxed_unsync()
}

/// `Begun` is a body of which one piece has been taken.
struct Begun {
    first: Option<Frame<Bytes>>,
    rest: WasiBody,
}

impl Body for Begun {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(Ok(first))),
            None => Pin::new(&mut self.rest).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_end_stream()
    }
}

/// `Sending` is the body of a request.
pub type Sending = Observed<LastProgress>;

impl Observer for LastProgress {
    fn sees(&mut self, _: Option<&Result<Frame<Bytes>, Error>>) {
        self.note();
    }
}

/// A request holds these permits until it is over.
pub type Permits = [OwnedSemaphorePermit; 2];

/// `Receiving` is the body of a response.
pub struct Receiving {
    body: Incoming,
    pause: Duration,
    timer: Pin<Box<Sleep>>,
    _permits: Permits,
}

impl Receiving {
    pub fn new(body: Incoming, pause: Duration, permits: Permits) -> Receiving {
        Receiving {
            body,
            pause,
            timer: Box::pin(sleep(pause)),
            _permits: permits,
        }
    }
}

impl Body for Receiving {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(frame) => {
                let next = Instant::now() + self.pause;
                self.timer.as_mut().reset(next);
                Poll::Ready(frame.map(|frame| frame.map_err(|error| unfinished(&error))))
            }
            Poll::Pending => match self.timer.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(Some(Err(Error::ConnectionReadTimeout))),
                Poll::Pending => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn unfinished(error: &hyper::Error) -> Error {
    match error_code::why(error) {
        Why::Failed(Error::ConnectionTerminated | Error::HttpProtocolError) | Why::Denied(_) => {
            Error::HttpResponseIncomplete
        }
        Why::Failed(error) => error,
    }
}
