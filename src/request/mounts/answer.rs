//! An `Answer` is the body of a response of a mounted server on its way to the client: it breaks off where the
//! server's does, and what holds the request on its way is held until it is over.

use super::link::Lease;
use super::upload::Sending;
use crate::request::admission::Permit;
use crate::request::body::Aborted;
use crate::request::exchange::Exchange;
use crate::request::reply;
use bytes::Bytes;
use h2::{Reason, RecvStream};
use http_body::{Frame, SizeHint};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::spawn_local;
use tokio::time::{Sleep, sleep, timeout};

pub struct Answer {
    /// The stream is `None` once the body is over.
    stream: Option<RecvStream>,
    data_is_over: bool,
    /// The head promises this length.
    declared: Option<u64>,
    received: u64,
    idle: Duration,
    pause: Option<Pin<Box<Sleep>>>,
    held: Option<Held>,
}

/// What is `Held` until the body is over: then the request's own body is not sent on.
pub struct Held {
    pub mount: String,
    pub exchange: Rc<Exchange>,
    pub _until_the_end: (Option<Sending>, Permit, Lease),
}

/// `Broken` says why a body is not whole.
enum Broken {
    Stream(h2::Error),
    Length,
    TimedOut,
    /// The client has broken off its own request, which is told elsewhere.
    Upload,
}

impl Answer {
    pub fn new(stream: RecvStream, declared: Option<u64>, idle: Duration, held: Held) -> Answer {
        Answer {
            stream: Some(stream),
            data_is_over: false,
            declared,
            received: 0,
            idle,
            pause: None,
            held: Some(held),
        }
    }

    pub fn is_end_stream(&self) -> bool {
        self.stream.is_none()
    }

    pub fn size_hint(&self) -> SizeHint {
        match (&self.stream, self.declared) {
            (None, _) => SizeHint::with_exact(0),
            (Some(_), Some(declared)) => {
                SizeHint::with_exact(declared.saturating_sub(self.received))
            }
            (Some(_), None) => SizeHint::default(),
        }
    }

    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        match self.poll_stream(cx) {
            Poll::Ready(Ok(Some(frame))) => {
                self.pause = None;
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Ok(None)) => {
                self.end();
                Poll::Ready(None)
            }
            Poll::Ready(Err(broken)) => Poll::Ready(Some(Err(self.abort(&broken)))),
            Poll::Pending => {
                let idle = self.idle;
                let pause = self.pause.get_or_insert_with(|| Box::pin(sleep(idle)));
                ready!(pause.as_mut().poll(cx));
                Poll::Ready(Some(Err(self.abort(&Broken::TimedOut))))
            }
        }
    }

    fn poll_stream(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame<Bytes>>, Broken>> {
        let Some(stream) = &mut self.stream else {
            return Poll::Ready(Ok(None));
        };
        let upload = self.held.as_ref().and_then(|held| held.exchange.upload());
        if upload.is_some_and(|upload| upload.fault().is_some()) {
            return Poll::Ready(Err(Broken::Upload));
        }
        while !self.data_is_over {
            match ready!(stream.poll_data(cx)) {
                // Only the end of the stream is news.
                Some(Ok(data)) if data.is_empty() => {}
                Some(Ok(data)) => {
                    // The server may send as much again.
                    let _ = stream.flow_control().release_capacity(data.len());
                    self.received += data.len() as u64;
                    if self
                        .declared
                        .is_none_or(|declared| declared == self.received)
                        && stream.is_end_stream()
                    {
                        self.end();
                    }
                    return Poll::Ready(Ok(Some(Frame::data(data))));
                }
                Some(Err(error)) if !is_end(&error) => {
                    return Poll::Ready(Err(Broken::Stream(error)));
                }
                Some(Err(_)) | None => self.data_is_over = true,
            }
        }
        if self
            .declared
            .is_some_and(|declared| declared != self.received)
        {
            return Poll::Ready(Err(Broken::Length));
        }
        match ready!(stream.poll_trailers(cx)) {
            Ok(trailers) => {
                let trailers = trailers.map(reply::legal_trailers);
                self.end();
                Poll::Ready(Ok(trailers.map(Frame::trailers)))
            }
            Err(error) if is_end(&error) => Poll::Ready(Ok(None)),
            Err(error) => Poll::Ready(Err(Broken::Stream(error))),
        }
    }

    /// Gives up what is held: the body is over, and nobody reads more of the request.
    fn end(&mut self) {
        self.stream = None;
        self.held = None;
    }

    fn abort(&mut self, broken: &Broken) -> Aborted {
        if let Some(held) = &self.held {
            let why = match broken {
                Broken::Stream(error) => format!("its server broke off a response: {error}"),
                Broken::Length => {
                    "its server ended a response before the length that it had told".to_owned()
                }
                Broken::TimedOut => "its server paused for too long in a response".to_owned(),
                Broken::Upload => String::new(),
            };
            if !why.is_empty() {
                held.exchange.mount_failed(&held.mount, &why);
            }
        }
        self.end();
        Aborted
    }
}

/// Says whether a stream was reset only because its response is whole, and the rest of the request is not wanted (RFC
/// 9113 section 8.1).
fn is_end(error: &h2::Error) -> bool {
    error.is_reset() && error.is_remote() && error.reason() == Some(Reason::NO_ERROR)
}

impl Drop for Answer {
    /// Lets a server end its stream whose client has all that was promised: it would take a reset for a client that
    /// has left.
    fn drop(&mut self) {
        let is_delivered = self.declared == Some(self.received);
        let (Some(mut stream), Some(held)) = (self.stream.take(), self.held.take()) else {
            return;
        };
        if !is_delivered || stream.is_end_stream() || Handle::try_current().is_err() {
            return;
        }
        let idle = self.idle;
        spawn_local(async move {
            let end = poll_fn(|cx| {
                while let Some(Ok(_)) = ready!(stream.poll_data(cx)) {}
                Poll::Ready(())
            });
            let _ = timeout(idle, end).await;
            drop(held);
        });
    }
}
