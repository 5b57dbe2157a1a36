//! An `Incoming` is the body of a request as it comes from the client's connection.

use super::announced_body::AnnouncedBody;
use super::length;
use bytes::Bytes;
use http::{HeaderMap, header};
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

/// Says whether a client waits to be told to send its request's body (RFC 9110 section 10.1.1).
pub fn asks_first(headers: &HeaderMap) -> bool {
    let mut expected = headers.get_all(header::EXPECT).iter();
    expected.any(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// An `Incoming` body differs by the protocol that brings it.
pub enum Incoming {
    Http1 {
        body: hyper::body::Incoming,
        /// The client waits to be told to send the body (RFC 9110 section 10.1.1), and this says whether it was.
        asked: Option<Arc<AtomicBool>>,
        /// The body is chunked, and has announced this.
        announced: Option<Arc<AnnouncedBody>>,
    },
    Http2(Streamed),
}

/// Returns how long a request says that its body is; 0 where it does not say. Heads of HTTP/1 are judged before; of
/// HTTP/2, its parser looks at the first such field alone (RFC 9113 section 8.1.1).
pub fn declared(headers: &HeaderMap) -> Result<u64, length::Malformed> {
    Ok(length::declared(headers)?.unwrap_or(0))
}

/// `Broken` says that what came is not all that was to come.
#[derive(Debug)]
pub struct Broken;

impl Incoming {
    /// Says whether the client waits to be told to send the body, and was not.
    pub fn is_unasked(&self) -> bool {
        match self {
            Incoming::Http1 { asked, .. } => {
                asked.as_ref().is_some_and(|asked| !asked.load(Relaxed))
            }
            Incoming::Http2(streamed) => streamed.is_unasked(),
        }
    }

    /// Returns how many bytes the body has at least, as far as it has said so after its head.
    pub fn announced(&self) -> u64 {
        match self {
            Incoming::Http1 { announced, .. } => announced.as_ref().map_or(0, |it| it.bytes()),
            Incoming::Http2(_) => 0,
        }
    }

    /// Says whether what nobody reads of it is thrown away as it comes, for the client to find its answer.
    pub fn is_thrown_away(&self) -> bool {
        match self {
            Incoming::Http1 { .. } => true,
            Incoming::Http2(streamed) => !streamed.reading.is_refused,
        }
    }

    /// Has a client that waits to be asked never be asked. Whether its stream is to be kept all the same until it has
    /// seen that: some lose the answer where a reset follows on its end (curl 7.88).
    pub fn forgo(&mut self) -> bool {
        match self {
            Incoming::Http1 { .. } => false,
            Incoming::Http2(streamed) => {
                streamed.is_forgone = true;
                streamed.reading.note(&streamed.reading.over);
                true
            }
        }
    }
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match &mut *self {
            Incoming::Http1 {
                body,
                asked,
                announced,
            } => {
                if let Some(announced) = announced {
                    announced.wakes(cx.waker());
                }
                if let Some(asked) = asked {
                    asked.store(true, Relaxed);
                }
                let polled = Pin::new(body).poll_frame(cx);
                polled.map_err(|_| Broken)
            }
            Incoming::Http2(streamed) => streamed.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Incoming::Http1 { body, .. } => body.is_end_stream(),
            Incoming::Http2(streamed) => streamed.stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Incoming::Http1 { body, .. } => body.size_hint(),
            Incoming::Http2(streamed) => match streamed.length {
                Some(length) => SizeHint::with_exact(length),
                None if streamed.stream.is_end_stream() => SizeHint::with_exact(0),
                None => SizeHint::default(),
            },
        }
    }
}

/// A `Streamed` body comes in a stream of HTTP/2.
pub struct Streamed {
    stream: h2::RecvStream,
    /// The body is as long as the head says.
    length: Option<u64>,
    data_is_over: bool,
    /// The client is never asked for the body.
    is_forgone: bool,
    reading: Arc<BodyReading>,
}

impl Streamed {
    /// `reading` is told how it is read.
    pub fn new(stream: h2::RecvStream, length: Option<u64>, reading: Arc<BodyReading>) -> Streamed {
        Streamed {
            stream,
            length,
            data_is_over: false,
            is_forgone: false,
            reading,
        }
    }

    fn is_unasked(&self) -> bool {
        self.reading.is_unasked()
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let is_too_late = self.is_forgone || self.reading.answered.load(Relaxed);
        if self.is_unasked() && !is_too_late {
            self.reading.note(&self.reading.asked);
        }
        if !self.data_is_over {
            let polled = self.stream.poll_data(cx);
            if polled.is_pending() && self.reading.is_left(cx) {
                self.reading.note(&self.reading.over);
                let is_whole = self.length == Some(0);
                return Poll::Ready((!is_whole).then_some(Err(Broken)));
            }
            match ready!(polled) {
                Some(Ok(data)) => {
                    // The client may send as much again.
                    let _ = self.stream.flow_control().release_capacity(data.len());
                    self.length = self
                        .length
                        .map(|left| left.saturating_sub(data.len() as u64));
                    if self.stream.is_end_stream() {
                        self.reading.note(&self.reading.over);
                    }
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                // Also a stream that the client, or nobody, reset: it is not all that was to come.
                Some(Err(_)) => return Poll::Ready(Some(Err(Broken))),
                None => self.data_is_over = true,
            }
        }
        let trailers = ready!(self.stream.poll_trailers(cx));
        self.reading.note(&self.reading.over);
        match trailers {
            Ok(trailers) => Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers)))),
            Err(_) => Poll::Ready(Some(Err(Broken))),
        }
    }
}

impl Drop for Streamed {
    fn drop(&mut self) {
        self.reading.note(&self.reading.over);
    }
}

/// `BodyReading` says how the body of a request is read, for whoever answers it. The guest's host demands atomics where
/// one thread would do.
#[derive(Default)]
pub struct BodyReading {
    /// The client waits to be told to send it.
    is_to_ask: bool,
    /// The stream is reset where nobody reads the rest: the client knows that its answer is whole all the same.
    is_refused: bool,
    asked: AtomicBool,
    /// The client has the head of its answer, and cannot be asked any more.
    answered: AtomicBool,
    over: AtomicBool,
    /// The client has ended it, which its stream does not know.
    left: AtomicBool,
    waker: Mutex<Option<Waker>>,
    /// This wakes whoever reads the body.
    reader: Mutex<Option<Waker>>,
}

impl BodyReading {
    pub fn new(is_to_ask: bool) -> BodyReading {
        BodyReading {
            is_to_ask,
            ..BodyReading::default()
        }
    }

    /// Has the client be told where nobody reads the rest.
    pub fn refusing(self) -> BodyReading {
        BodyReading {
            is_refused: true,
            ..self
        }
    }

    /// Makes the reading of a body that is none.
    pub fn of_nothing() -> BodyReading {
        BodyReading {
            over: AtomicBool::new(true),
            ..BodyReading::default()
        }
    }

    /// Says whether the client is to be told to send the body; who asks here is woken when it is.
    pub fn is_asked(&self, cx: &Context<'_>) -> bool {
        self.is_to_ask && self.is(&self.asked, cx)
    }

    /// Says whether the client waits to be told to send the body, and was not.
    pub fn is_unasked(&self) -> bool {
        self.is_to_ask && !self.asked.load(Relaxed)
    }

    /// Notes that the client is given the head of its answer.
    pub fn answer(&self) {
        self.answered.store(true, Relaxed);
    }

    /// Says whether nobody reads the body any more, or all of it was read; who asks here is woken when that is so.
    pub fn is_over(&self, cx: &Context<'_>) -> bool {
        self.is(&self.over, cx)
    }

    /// The client sends no more of it, whether or not that is all of it.
    pub fn leave(&self) {
        self.left.store(true, Relaxed);
        wake(&self.reader);
    }

    fn is_left(&self, cx: &Context<'_>) -> bool {
        *lock(&self.reader) = Some(cx.waker().clone());
        self.left.load(Relaxed)
    }

    fn is(&self, what: &AtomicBool, cx: &Context<'_>) -> bool {
        let is = what.load(Relaxed);
        if !is {
            *lock(&self.waker) = Some(cx.waker().clone());
        }
        is
    }

    fn note(&self, what: &AtomicBool) {
        what.store(true, Relaxed);
        wake(&self.waker);
    }
}

fn wake(waker: &Mutex<Option<Waker>>) {
    let waker = lock(waker).take();
    if let Some(waker) = waker {
        waker.wake();
    }
}

fn lock(waker: &Mutex<Option<Waker>>) -> MutexGuard<'_, Option<Waker>> {
    waker.lock().unwrap_or_else(PoisonError::into_inner)
}
