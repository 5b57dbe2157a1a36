//! The body of a request on its way to the guest: counted, bounded, and watched for pauses. What is
//! wrong with it is noted, because the client is to be told whatever the guest makes of it.

use crate::guest::BodyError;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Sleep, sleep};

/// What is wrong with a request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    TooLarge,
    /// Nothing came for too long.
    TooSlow,
    /// Its framing is broken, or it ended before it was whole.
    Broken,
}

/// What is known of a body, also to those who do not read it. The guest's host demands atomics where
/// one thread would do.
#[derive(Default)]
pub struct Ledger {
    received: AtomicU64,
    waiting: AtomicBool,
    fault: OnceLock<Fault>,
}

impl Ledger {
    pub fn received(&self) -> u64 {
        self.received.load(Relaxed)
    }

    /// Whether the guest was last seen waiting for the client.
    pub fn is_waiting(&self) -> bool {
        self.waiting.load(Relaxed)
    }

    pub fn fault(&self) -> Option<Fault> {
        self.fault.get().copied()
    }
}

pub struct Upload {
    body: Incoming,
    limit: u64,
    idle: Duration,
    pause: Option<Pin<Box<Sleep>>>,
    ledger: Arc<Ledger>,
}

impl Upload {
    pub fn new(body: Incoming, limit: u64, idle: Duration) -> Upload {
        Upload {
            body,
            limit,
            idle,
            pause: None,
            ledger: Arc::default(),
        }
    }

    pub fn ledger(&self) -> Arc<Ledger> {
        self.ledger.clone()
    }

    fn fail(&mut self, fault: Fault) -> BodyError {
        let _ = self.ledger.fault.set(fault);
        match fault {
            Fault::TooLarge => BodyError::HttpRequestBodySize(Some(self.ledger.received())),
            Fault::TooSlow => BodyError::ConnectionReadTimeout,
            Fault::Broken => BodyError::HttpProtocolError,
        }
    }

    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let idle = self.idle;
        let pause = self.pause.get_or_insert_with(|| Box::pin(sleep(idle)));
        pause.as_mut().poll(cx)
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.ledger.waiting.store(polled.is_pending(), Relaxed);
        match polled {
            Poll::Ready(Some(Ok(frame))) => {
                self.pause = None;
                let length = frame.data_ref().map_or(0, Bytes::len) as u64;
                let received = self.ledger.received.fetch_add(length, Relaxed) + length;
                if received > self.limit {
                    return Poll::Ready(Some(Err(self.fail(Fault::TooLarge))));
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(_))) => Poll::Ready(Some(Err(self.fail(Fault::Broken)))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => self.wait(cx).map(|()| Some(Err(self.fail(Fault::TooSlow)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
