//! A `Body` is a response's on its way to the client: it is watched for pauses, counted, and seen to its end even where
//! the client does not need the end.

use super::admission::Permit;
use super::compress::Encoder;
use super::compressed::{Compressed, Uncompressed};
use super::exchange::Exchange;
use super::files::FileBody;
use super::mounts::Answer;
use super::reply;
use super::upload::UploadError;
use crate::guest::{Failure, GuestBody};
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use std::any::Any;
use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Sleep, sleep};

/// A `Body` is that of a response: our own text, what a guest writes, or what a mounted server sends.
pub struct Body {
    kind: Kind,
    /// This is dropped when the connection is done with the body.
    attached: Option<Box<dyn Any>>,
    /// The exchange notes what leaves, as it leaves: after compression.
    recorded: Option<Rc<Exchange>>,
}

enum Kind {
    Text(Option<Bytes>),
    Guest(Box<WatchedBody>),
    Compressed(Box<Compressed>),
    File(Box<FileBody>),
    Mounted(Box<Answer>),
}

/// `WatchedBody` is a guest's body, with what it holds until it is over.
pub struct WatchedBody {
    body: Option<GuestBody>,
    /// The guest's head promises this length.
    declared: Option<u64>,
    sent: u64,
    /// The client gets no body, but the guest may finish writing it.
    unsent: bool,
    idle: Duration,
    pause: Option<Pin<Box<Sleep>>>,
    exchange: Option<Rc<Exchange>>,
    /// The permit is held until the guest has finished, whatever its client has taken by then.
    permit: Option<Permit>,
}

/// `Aborted` says that the body could not be finished: the connection must not look as if it had been.
#[derive(Debug)]
pub struct Aborted;

impl fmt::Display for Aborted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the response was not finished")
    }
}

impl std::error::Error for Aborted {}

impl Body {
    fn of(kind: Kind) -> Body {
        Body {
            kind,
            attached: None,
            recorded: None,
        }
    }

    /// Notes in the exchange what leaves, and keeps it until the body is over.
    pub fn record(&mut self, exchange: Rc<Exchange>) {
        self.recorded = Some(exchange);
    }

    /// Keeps `attached` for as long as there is this body.
    pub fn attach(&mut self, attached: Box<dyn Any>) {
        self.attached = Some(attached);
    }

    /// Lets a guest write on whose client takes nothing for now: one that comes to its end gives back what it holds.
    pub fn poll_ahead(&mut self, cx: &mut Context<'_>) {
        match &mut self.kind {
            Kind::Guest(written) => written.poll_ahead(cx),
            Kind::Compressed(compressed) => compressed.poll_ahead(cx),
            Kind::Text(_) | Kind::File(_) | Kind::Mounted(_) => {}
        }
    }

    pub fn text(text: Bytes) -> Body {
        Body::of(Kind::Text(Some(text)))
    }

    pub fn file(body: FileBody) -> Body {
        Body::of(Kind::File(Box::new(body)))
    }

    pub fn answer(body: Answer) -> Body {
        Body::of(Kind::Mounted(Box::new(body)))
    }

    pub fn empty() -> Body {
        Body::of(Kind::Text(None))
    }

    pub fn guest(body: GuestBody, declared: Option<u64>) -> Body {
        Body::written(body, declared, false)
    }

    /// Throws away what a guest writes, whose client gets no body.
    pub fn unsent(body: GuestBody) -> Body {
        Body::written(body, None, true)
    }

    fn written(body: GuestBody, declared: Option<u64>, unsent: bool) -> Body {
        Body::of(Kind::Guest(Box::new(WatchedBody {
            body: Some(body),
            declared,
            sent: 0,
            unsent,
            idle: Duration::MAX,
            pause: None,
            exchange: None,
            permit: None,
        })))
    }

    /// Compresses what a guest writes, or a file.
    pub fn compress(&mut self, encoder: Encoder) {
        let source = match std::mem::replace(&mut self.kind, Kind::Text(None)) {
            Kind::Guest(written) => Uncompressed::Guest(written),
            Kind::File(file) => Uncompressed::File(file),
            other => {
                self.kind = other;
                return;
            }
        };
        self.kind = Kind::Compressed(Box::new(Compressed::new(source, encoder)));
    }

    /// Keeps the request's permit until the guest has ended, and its record until the body has.
    pub fn occupy(&mut self, permit: Permit, exchange: &Rc<Exchange>, idle: Duration) {
        if let Kind::Guest(written) = &mut self.kind {
            written.exchange = Some(exchange.clone());
            written.permit = Some(permit);
            written.idle = idle;
            written.give_back();
        }
    }
}

/// Reads more of a file.
pub fn poll_file(
    file: &mut FileBody,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
    Pin::new(file).poll_frame(cx).map(|polled| match polled? {
        Ok(frame) => Some(Ok(frame)),
        Err(error) => {
            crate::error!("cannot read a file on its way: {error}");
            Some(Err(Aborted))
        }
    })
}

fn wrong_length(declared: u64) -> Failure {
    Failure::Unfinished(format!(
        "it is not of the {declared} bytes that its head says"
    ))
}

impl WatchedBody {
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        let Some(body) = self.body.as_mut().filter(|_| !self.unsent) else {
            return Poll::Ready(None);
        };
        let polled = match &self.exchange {
            Some(exchange) if !body.is_finished() => {
                exchange.in_guest(|| Pin::new(body).poll_frame(cx))
            }
            _ => Pin::new(body).poll_frame(cx),
        };
        self.give_back();
        // Whatever the guest makes of half a request, its client did not keep to what was asked.
        if self.is_given_up() {
            self.body = None;
            return Poll::Ready(Some(Err(Aborted)));
        }
        match polled {
            Poll::Ready(Some(Ok(frame))) => {
                self.pause = None;
                let frame = match frame.into_trailers() {
                    Ok(trailers) => Frame::trailers(reply::legal_trailers(trailers)),
                    Err(frame) => frame,
                };
                let length = frame.data_ref().map_or(0, Bytes::len) as u64;
                self.sent += length;
                if let Some(declared) = self.declared.filter(|declared| self.sent > *declared) {
                    return Poll::Ready(Some(Err(self.abort(&wrong_length(declared)))));
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(failure))) => Poll::Ready(Some(Err(self.abort(&failure)))),
            Poll::Ready(None) => match self.declared.filter(|declared| self.sent < *declared) {
                Some(declared) => Poll::Ready(Some(Err(self.abort(&wrong_length(declared))))),
                None => Poll::Ready(None),
            },
            Poll::Pending => {
                let idle = self.idle;
                let pause = self.pause.get_or_insert_with(|| Box::pin(sleep(idle)));
                match pause.as_mut().poll(cx) {
                    Poll::Ready(()) => Poll::Ready(Some(Err(self.abort(&Failure::TimedOut)))),
                    Poll::Pending => Poll::Pending,
                }
            }
        }
    }

    fn abort(&mut self, failure: &Failure) -> Aborted {
        if let Some(exchange) = &self.exchange {
            exchange.failed(failure);
        }
        self.body = None;
        Aborted
    }

    pub fn poll_ahead(&mut self, cx: &mut Context<'_>) {
        if let Some(body) = self.body.as_mut().filter(|_| self.permit.is_some()) {
            body.poll_ahead(cx);
            self.give_back();
        }
    }

    /// Gives the permit back once the guest has finished.
    fn give_back(&mut self) {
        if self.body.as_ref().is_none_or(GuestBody::is_finished) {
            self.permit = None;
        }
    }

    fn is_given_up(&self) -> bool {
        let upload = self.exchange.as_ref().and_then(|it| it.upload());
        upload.is_some_and(|upload| upload.fault() == Some(UploadError::TooSlow))
    }

    /// Says whether the client has all that it was promised, so that the guest may end in peace.
    fn delivered(&self, body: &GuestBody) -> bool {
        self.unsent
            || body.is_end_stream()
            || self.declared.is_some_and(|length| self.sent >= length)
    }
}

impl Drop for WatchedBody {
    /// Lets a guest that is not done go on where its client was served: what it does after its
    /// response is complete is its own, and so is writing a body that the client does not get.
    fn drop(&mut self) {
        let (Some(mut body), Some(exchange)) = (self.body.take(), self.exchange.take()) else {
            return;
        };
        let permit = self.permit.take();
        if !self.delivered(&body)
            || body.is_over()
            || tokio::runtime::Handle::try_current().is_err()
        {
            return;
        }
        let (idle, unsent) = (self.idle, self.unsent);
        tokio::task::spawn_local(async move {
            let outlived = async {
                while let Some(frame) = body.frame().await {
                    // Nobody waits for the rest of what is not sent.
                    if let Err(failure) = frame
                        && !(unsent && matches!(failure, Failure::Unfinished(_)))
                    {
                        return Err(failure);
                    }
                }
                body.leftover().await
            };
            let mut outlived = pin!(outlived);
            let outlived = poll_fn(|cx| exchange.in_guest(|| outlived.as_mut().poll(cx)));
            match tokio::time::timeout(idle, outlived).await {
                Ok(Ok(())) => {}
                Ok(Err(failure)) => exchange.failed(&failure),
                Err(_) => exchange.outlived(idle),
            }
            drop(permit);
        });
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        if let Some(exchange) = &self.recorded {
            exchange.asked_for_more();
        }
        let polled = match &mut self.kind {
            Kind::Text(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Kind::Guest(written) => written.poll(cx),
            Kind::Compressed(compressed) => compressed.poll(cx),
            Kind::File(file) => poll_file(file, cx),
            Kind::Mounted(answer) => answer.poll(cx),
        };
        if let (Poll::Ready(Some(Ok(frame))), Some(exchange)) = (&polled, &self.recorded) {
            let length = frame.data_ref().map_or(0, Bytes::len);
            exchange.sent(length as u64, self.is_end_stream());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Text(text) => text.is_none(),
            Kind::Guest(written) if written.unsent => true,
            Kind::Guest(written) => written.body.as_ref().is_none_or(GuestBody::is_end_stream),
            Kind::Compressed(compressed) => compressed.is_over(),
            Kind::File(file) => matches!(**file, FileBody::Empty),
            Kind::Mounted(answer) => answer.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Text(text) => SizeHint::with_exact(text.as_ref().map_or(0, Bytes::len) as u64),
            Kind::Guest(written) if written.unsent => SizeHint::with_exact(0),
            Kind::Guest(written) => written
                .body
                .as_ref()
                .map_or_else(SizeHint::default, GuestBody::size_hint),
            Kind::File(file) if matches!(**file, FileBody::Empty) => SizeHint::with_exact(0),
            Kind::Mounted(answer) => answer.size_hint(),
            Kind::Compressed(_) | Kind::File(_) => SizeHint::default(),
        }
    }
}
