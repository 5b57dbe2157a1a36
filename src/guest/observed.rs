//! An `Observed` body, of a request or of an answer, is looked at by somebody while it goes by.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};
use wasmtime_wasi_http::{Error, WasiBody};

/// An `Observer` looks at a body.
pub trait Observer: Unpin {
    /// Sees a frame that has come; none will come any more after an error or where there is none.
    fn sees(&mut self, frame: Option<&Result<Frame<Bytes>, Error>>);

    /// Learns that nothing has come yet.
    fn misses(&mut self, _cx: &Context<'_>) {}

    /// Learns that nobody takes more of the body, and whether that was all of it.
    fn ends(&mut self, _is_whole: bool) {}
}

pub struct Observed<O: Observer> {
    body: WasiBody,
    observer: O,
}

impl<O: Observer> Observed<O> {
    pub fn new(body: WasiBody, observer: O) -> Observed<O> {
        Observed { body, observer }
    }
}

impl<O: Observer> Body for Observed<O> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Ready(frame) => self.observer.sees(frame.as_ref()),
            Poll::Pending => self.observer.misses(cx),
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

impl<O: Observer> Drop for Observed<O> {
    fn drop(&mut self) {
        self.observer.ends(self.body.is_end_stream());
    }
}
