//! Bodies on their way out and back: what they tell about progress, and how long they may pause.

use super::failure::{self, Why};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep};
use wasmtime_wasi_http::{Error, WasiBody};

/// When a request last went on.
#[derive(Clone)]
pub struct Progress(Arc<Mutex<Instant>>);

impl Progress {
    pub fn now() -> Progress {
        Progress(Arc::new(Mutex::new(Instant::now())))
    }

    pub fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

/// The body of a request.
pub struct Sending {
    pub body: WasiBody,
    pub progress: Progress,
}

impl Body for Sending {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if polled.is_ready() {
            self.progress.note();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The turns that a request has taken; given back when it is over.
pub type Turns = [OwnedSemaphorePermit; 2];

/// The body of a response.
pub struct Receiving {
    body: Incoming,
    pause: Duration,
    timer: Pin<Box<Sleep>>,
    _turns: Turns,
}

impl Receiving {
    pub fn new(body: Incoming, pause: Duration, turns: Turns) -> Receiving {
        Receiving {
            body,
            pause,
            timer: Box::pin(sleep(pause)),
            _turns: turns,
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
    match failure::why(error) {
        Why::Failed(Error::ConnectionTerminated | Error::HttpProtocolError) | Why::Denied(_) => {
            Error::HttpResponseIncomplete
        }
        Why::Failed(error) => error,
    }
}
