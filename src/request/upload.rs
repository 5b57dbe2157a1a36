//! An `Upload` is the body of a request on its way to the guest: it is counted, bounded, and watched for pauses. What
//! is wrong with it is noted, because the client is to be told whatever the guest makes of it.

use super::client_rate::ClientRate;
use super::drain::drain;
use super::incoming::{Broken, Incoming};
use super::timer::Timer;
use crate::guest::BodyError;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

/// A `UploadError` says what is wrong with a request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadError {
    TooLarge,
    /// Nothing came for too long, or too little.
    TooSlow,
    /// The body's framing is broken, or it ended before it was whole.
    Broken,
}

/// An `UploadState` has what is known of a body, also to those who do not read it. The guest's host demands locks
/// where one thread would do.
pub struct UploadState {
    received: AtomicU64,
    fault: OnceLock<UploadError>,
    /// The body is `None` once all of it was read, or nobody is to read the rest.
    body: Mutex<Option<Incoming>>,
    client_rate: Mutex<ClientRate>,
    /// The guest is woken by this where it waits for more.
    reader: Mutex<Option<Waker>>,
}

impl UploadState {
    fn new(body: Incoming, rate: u64) -> UploadState {
        UploadState {
            received: AtomicU64::new(0),
            fault: OnceLock::new(),
            body: Mutex::new(Some(body)),
            client_rate: Mutex::new(ClientRate::new(rate)),
            reader: Mutex::new(None),
        }
    }

    pub fn received(&self) -> u64 {
        self.received.load(Relaxed)
    }

    /// Says whether the guest waits for the client.
    pub fn is_waiting(&self) -> bool {
        lock(&self.client_rate).is_waiting()
    }

    /// Says for how long the guest has waited for the client.
    pub fn waited(&self) -> Duration {
        lock(&self.client_rate).waited()
    }

    /// Says how far behind the client is.
    pub fn behind(&self, now: Instant) -> Duration {
        lock(&self.client_rate).behind(now)
    }

    pub fn fault(&self) -> Option<UploadError> {
        self.fault.get().copied()
    }

    /// Notes that nobody reads the rest, which the client may be sending before it looks for an answer.
    pub fn abandon(&self) {
        let body = lock(&self.body).take();
        if let Some(body) = body {
            lock(&self.client_rate).moved(0, Instant::now());
            if !matches!(
                self.fault(),
                Some(UploadError::TooSlow | UploadError::Broken)
            ) {
                drain(body);
            }
        }
    }
}

/// Notes that something came: from here on the client is not waited for, whenever the guest looks at it.
impl Wake for UploadState {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        lock(&self.client_rate).moved(0, Instant::now());
        let reader = lock(&self.reader).take();
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `UploadLimits` says what a client may send, and how fast it must.
#[derive(Clone, Copy, Debug)]
pub struct UploadLimits {
    /// A body may have this many bytes, all together.
    pub most: u64,
    /// Nothing may come for this long.
    pub idle: Duration,
    /// This many bytes must come per second.
    pub rate: u64,
}

pub struct Upload {
    limits: UploadLimits,
    timer: Timer,
    /// All of the body was read, and nothing that happens to the connection afterwards is wrong with it.
    is_whole: bool,
    upload_state: Arc<UploadState>,
}

impl Upload {
    pub fn new(body: Incoming, limits: UploadLimits) -> Upload {
        Upload {
            limits,
            timer: Timer::default(),
            is_whole: false,
            upload_state: Arc::new(UploadState::new(body, limits.rate)),
        }
    }

    pub fn upload_state(&self) -> Arc<UploadState> {
        self.upload_state.clone()
    }

    fn fail(&mut self, fault: UploadError) -> BodyError {
        let _ = self.upload_state.fault.set(fault);
        match fault {
            UploadError::TooLarge => {
                BodyError::HttpRequestBodySize(Some(self.upload_state.received()))
            }
            UploadError::TooSlow => BodyError::ConnectionReadTimeout,
            UploadError::Broken => BodyError::HttpProtocolError,
        }
    }

    /// Waits for the client, but not for longer than it may take.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (upload_state, idle) = (&self.upload_state, self.limits.idle);
        lock(&upload_state.client_rate).waits(Instant::now());
        self.timer.poll(cx, || {
            let deadline = lock(&upload_state.client_rate).deadline(idle);
            deadline.map(|until| (until, ()))
        })
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let waker = Waker::from(self.upload_state.clone());
        *lock(&self.upload_state.reader) = Some(cx.waker().clone());
        let mut is_too_large = false;
        let polled = match &mut *lock(&self.upload_state.body) {
            _ if self.is_whole => Poll::Ready(None),
            Some(body) => {
                let polled = Pin::new(&mut *body).poll_frame(&mut Context::from_waker(&waker));
                is_too_large = body.announced() > self.limits.most;
                polled
            }
            None => Poll::Ready(Some(Err(Broken))),
        };
        if is_too_large {
            return Poll::Ready(Some(Err(self.fail(UploadError::TooLarge))));
        }
        match polled {
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, Bytes::len) as u64;
                lock(&self.upload_state.client_rate).moved(length, Instant::now());
                let received = self.upload_state.received.fetch_add(length, Relaxed) + length;
                if received > self.limits.most {
                    return Poll::Ready(Some(Err(self.fail(UploadError::TooLarge))));
                }
                // Its client may leave before anybody looks for more.
                self.is_whole = self.is_end_stream();
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(_))) => Poll::Ready(Some(Err(self.fail(UploadError::Broken)))),
            Poll::Ready(None) => {
                self.is_whole = true;
                let body = lock(&self.upload_state.body).take();
                drop(body);
                Poll::Ready(None)
            }
            Poll::Pending => self
                .wait(cx)
                .map(|()| Some(Err(self.fail(UploadError::TooSlow)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        let body = lock(&self.upload_state.body);
        self.is_whole || body.as_ref().is_some_and(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let body = lock(&self.upload_state.body);
        body.as_ref()
            .map_or_else(SizeHint::default, Body::size_hint)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.upload_state.abandon();
    }
}
