//! A guest's body that is compressed on its way: what the guest has written leaves as soon as it pauses.

use super::body::{Aborted, Written};
use super::compress::Encoder;
use bytes::Bytes;
use http_body::Frame;
use std::task::{Context, Poll};

/// How much of what is compressed is gathered before it is handed on, while the guest goes on writing.
const GATHERED: usize = 16 << 10;

pub struct Compressed {
    written: Box<Written>,
    /// None once all of it was handed on.
    encoder: Option<Encoder>,
    gathered: Vec<u8>,
    /// Something was taken that was not given out.
    pending: bool,
    trailers: Option<Frame<Bytes>>,
}

impl Compressed {
    pub fn new(written: Box<Written>, encoder: Encoder) -> Compressed {
        Compressed {
            written,
            encoder: Some(encoder),
            gathered: Vec::new(),
            pending: false,
            trailers: None,
        }
    }

    pub fn is_over(&self) -> bool {
        self.encoder.is_none() && self.trailers.is_none()
    }

    pub fn poll_ahead(&mut self, cx: &mut Context<'_>) {
        self.written.poll_ahead(cx);
    }

    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        loop {
            let Some(encoder) = &mut self.encoder else {
                return Poll::Ready(self.trailers.take().map(Ok));
            };
            let made = match self.written.poll(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => {
                        self.pending = true;
                        encoder.write(&data)
                    }
                    Err(trailers) => {
                        self.trailers = Some(trailers);
                        continue;
                    }
                },
                Poll::Ready(Some(Err(aborted))) => return Poll::Ready(Some(Err(aborted))),
                Poll::Ready(None) => {
                    let rest = self.encoder.take().map(Encoder::finish);
                    rest.unwrap_or_else(|| Ok(Bytes::new()))
                }
                Poll::Pending if self.pending => {
                    self.pending = false;
                    encoder.flush()
                }
                Poll::Pending => return Poll::Pending,
            };
            // The encoders write to memory, which does not fail.
            self.gathered.extend_from_slice(&made.unwrap_or_default());
            let due = self.encoder.is_none() || !self.pending || self.gathered.len() >= GATHERED;
            if due && !self.gathered.is_empty() {
                let data = std::mem::take(&mut self.gathered);
                return Poll::Ready(Some(Ok(Frame::data(data.into()))));
            }
        }
    }
}
