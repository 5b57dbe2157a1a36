//! An `Observed` body, of a guest's request or of its answer, is looked at by somebody while it goes by.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use wasmtime_wasi_http::{Error, WasiBody};

/// An `Observer` looks at a body.
pub trait Observer: Unpin {
    /// Sees a frame that has come; none will come any more after an error or where there is none.
    fn sees(&mut self, frame: Option<&Result<Frame<Bytes>, Error>>);

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
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.observer.sees(frame.as_ref());
        Poll::Ready(frame)
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
