//! A `Compressed` body is compressed on its way: what a guest has written leaves as soon as it pauses.

use super::body::{Aborted, WatchedBody, poll_file};
use super::compress::{self, Encoder};
use super::files::FileBody;
use crate::error;
use bytes::Bytes;
use http_body::Frame;
use std::task::{Context, Poll};

/// This much of what is compressed is gathered before it is handed on, while the guest goes on writing.
const GATHERED: usize = 16 << 10;

/// An `Uncompressed` is what is compressed.
pub enum Uncompressed {
    Guest(Box<WatchedBody>),
    File(Box<FileBody>),
}

impl Uncompressed {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        match self {
            Uncompressed::Guest(written) => written.poll(cx),
            Uncompressed::File(file) => poll_file(file, cx),
        }
    }

    fn poll_ahead(&mut self, cx: &mut Context<'_>) {
        match self {
            Uncompressed::Guest(written) => written.poll_ahead(cx),
            Uncompressed::File(_) => {}
        }
    }

    /// Says whether somebody waits for the beginning of what comes next. A file is read on as fast as it goes.
    fn is_written_piece_by_piece(&self) -> bool {
        matches!(self, Uncompressed::Guest(_))
    }
}

pub struct Compressed {
    source: Uncompressed,
    /// The encoder is `None` once all of it was handed on.
    encoder: Option<Encoder>,
    gathered: Vec<u8>,
    /// Something was taken that was not given out.
    pending: bool,
    trailers: Option<Frame<Bytes>>,
}

impl Compressed {
    pub fn new(source: Uncompressed, encoder: Encoder) -> Compressed {
        Compressed {
            source,
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
        self.source.poll_ahead(cx);
    }

    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        loop {
            let Some(encoder) = &mut self.encoder else {
                return Poll::Ready(self.trailers.take().map(Ok));
            };
            let made = match self.source.poll(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => {
                        self.pending = true;
                        encoder.write(&data)
                    }
                    Err(frame) => {
                        self.trailers = frame.into_trailers().ok().map(|mut trailers| {
                            compress::remove_digests(&mut trailers);
                            Frame::trailers(trailers)
                        });
                        continue;
                    }
                },
                Poll::Ready(Some(Err(aborted))) => return Poll::Ready(Some(Err(aborted))),
                Poll::Ready(None) => {
                    let rest = self.encoder.take().map(Encoder::finish);
                    rest.unwrap_or_else(|| Ok(Bytes::new()))
                }
                Poll::Pending if self.pending && self.source.is_written_piece_by_piece() => {
                    self.pending = false;
                    encoder.flush()
                }
                Poll::Pending => return Poll::Pending,
            };
            let made = match made {
                Ok(made) => made,
                Err(error) => {
                    error!("a response could not be compressed: {error}");
                    return Poll::Ready(Some(Err(Aborted)));
                }
            };
            self.gathered.extend_from_slice(&made);
            let due = self.encoder.is_none() || !self.pending || self.gathered.len() >= GATHERED;
            if due && !self.gathered.is_empty() {
                let data = std::mem::take(&mut self.gathered);
                return Poll::Ready(Some(Ok(Frame::data(data.into()))));
            }
        }
    }
}
