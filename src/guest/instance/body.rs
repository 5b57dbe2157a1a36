//! The body of a guest's response is written while the guest runs: in the task that writes to the client, so that a
//! client that goes away takes the instance with it, and a slow client slows the guest down.

use super::call::{Head, RunningGuest};
use super::concurrent::Lease;
use crate::guest::failure::Failure;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use http_body::{Body, Frame, SizeHint};
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::oneshot;
use wasmtime_wasi_http::WasiBody;

/// This many bytes of a body are awaited before the head is sent, while the guest writes without a pause: a shorter
/// body goes out in one piece, with its length.
const COLLECT: usize = 64 << 10;

/// A `GuestBody` is a response body, complete or still being written.
pub struct GuestBody {
    /// The guest has written these frames, which nobody has read yet.
    ready: VecDeque<Frame<Bytes>>,
    /// The guest writes to this stream, until it ends it.
    stream: Option<WasiBody>,
    guest: Producer,
    /// The body fails for this reason once the frames before are read.
    failure: Option<Failure>,
}

/// The `Producer` is the guest that writes a body.
pub enum Producer {
    Running(RunningGuest),
    /// The guest runs in a task of its own, and answers other requests too.
    Concurrent(Lease),
    /// The guest has failed. Its remains hold what it wrote before.
    Failed {
        failure: Failure,
        _remains: RunningGuest,
    },
    Finished,
}

impl GuestBody {
    /// Takes as much of a body as the guest writes without a pause.
    pub fn begin(
        response: http::Response<WasiBody>,
        guest: Producer,
        bodiless: bool,
        cx: &mut Context<'_>,
    ) -> Result<http::Response<GuestBody>, Failure> {
        let (parts, stream) = response.into_parts();
        let mut body = GuestBody::new(stream, guest);
        match body.poll_collect(cx) {
            // What nobody is sent need not be as long as the head says.
            Err(Failure::Unfinished(_)) if bodiless || is_bodiless(parts.status) => {
                Ok(http::Response::from_parts(parts, body))
            }
            collected => collected.map(|()| http::Response::from_parts(parts, body)),
        }
    }

    /// Takes over a guest that has given the head of its response.
    fn new(stream: WasiBody, guest: Producer) -> GuestBody {
        GuestBody {
            ready: VecDeque::new(),
            stream: Some(stream),
            guest,
            failure: None,
        }
    }

    /// Lets the guest write until it pauses, ends, or has written enough for a first write.
    fn poll_collect(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        let mut collected = 0;
        // The end of a stream that has nothing more costs nothing to see, and tells the length of what came before.
        while collected < COLLECT || self.stream.as_ref().is_some_and(Body::is_end_stream) {
            match self.poll_stream(cx) {
                Poll::Ready(Some(frame)) => {
                    let frame = frame?;
                    collected += frame.data_ref().map_or(0, Bytes::len);
                    self.ready.push_back(frame);
                }
                Poll::Ready(None) => {
                    self.join();
                    return Ok(());
                }
                Poll::Pending => return Ok(()),
            }
        }
        Ok(())
    }

    /// Says whether the guest has returned and all that it wrote was read.
    pub fn is_over(&self) -> bool {
        let waits = matches!(self.guest, Producer::Running(_) | Producer::Failed { .. });
        self.stream.is_none() && self.ready.is_empty() && !waits
    }

    /// Says whether the guest is done, so that its instance is free, although not all that it wrote may have been
    /// read.
    pub fn is_finished(&self) -> bool {
        self.stream.is_none()
            && !matches!(self.guest, Producer::Running(_) | Producer::Failed { .. })
    }

    /// Lets the guest write on while nobody reads what it has written, until the buffer is full.
    pub fn poll_ahead(&mut self, cx: &mut Context<'_>) {
        let data = self.ready.iter().filter_map(Frame::data_ref);
        let mut kept: usize = data.map(Bytes::len).sum();
        while kept < COLLECT && self.stream.is_some() {
            match self.poll_stream(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    kept += frame.data_ref().map_or(0, Bytes::len);
                    self.ready.push_back(frame);
                }
                Poll::Ready(Some(Err(failure))) => {
                    self.failure = Some(failure);
                    return;
                }
                Poll::Ready(None) => break,
                Poll::Pending => return,
            }
        }
        if self.stream.is_none() && matches!(self.guest, Producer::Running(_)) {
            // Whether it fails is seen later.
            let _ = self.poll_guest(cx);
        }
    }

    /// Lets a guest that goes on after its response is complete come to its end.
    pub async fn leftover(&mut self) -> Result<(), Failure> {
        match std::mem::replace(&mut self.guest, Producer::Finished) {
            Producer::Running(running) => running.await,
            Producer::Failed { failure, .. } => Err(failure),
            Producer::Concurrent(_) | Producer::Finished => Ok(()),
        }
    }

    /// Finds trailers that were collected with the body, so that the head can announce them.
    pub fn trailers(&self) -> Option<&HeaderMap> {
        self.ready.iter().find_map(Frame::trailers_ref)
    }

    /// Joins the pieces of a body into one, once all of them are here.
    fn join(&mut self) {
        if self.ready.len() < 2 || self.ready.iter().any(|frame| !frame.is_data()) {
            return;
        }
        let mut whole = BytesMut::new();
        for frame in self.ready.drain(..) {
            if let Ok(data) = frame.into_data() {
                whole.extend_from_slice(&data);
            }
        }
        self.ready.push_back(Frame::data(whole.freeze()));
    }

    /// Reads what the guest has written next, and runs the guest where nothing is there yet.
    fn poll_stream(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        loop {
            let Some(stream) = &mut self.stream else {
                return Poll::Ready(None);
            };
            match Pin::new(stream).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => return Poll::Ready(Some(Ok(frame))),
                Poll::Ready(Some(Err(error))) => {
                    self.stream = None;
                    let why = error.to_string();
                    return Poll::Ready(Some(Err(Failure::Unfinished(why))));
                }
                Poll::Ready(None) => return Poll::Ready(self.end_stream(cx).err().map(Err)),
                Poll::Pending => {}
            }
            match self.poll_guest(cx) {
                Poll::Ready(Err(failure)) => {
                    self.end();
                    return Poll::Ready(Some(Err(failure)));
                }
                // It may have written before it returned.
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(Ok(false)) | Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Ends the stream of a guest that has written all of its body, and runs the guest once more, as it may be about
    /// to return. If it fails from here on, its client notices nothing.
    fn end_stream(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        self.stream = None;
        match &self.guest {
            Producer::Failed { .. } => Ok(()),
            Producer::Running(_) | Producer::Concurrent(_) | Producer::Finished => {
                match self.poll_guest(cx) {
                    Poll::Ready(Err(failure)) => {
                        self.end();
                        Err(failure)
                    }
                    Poll::Ready(Ok(_)) | Poll::Pending => Ok(()),
                }
            }
        }
    }

    /// Runs the guest, and says whether it has just returned. A failure is told on the next call: what the guest
    /// wrote before comes first.
    fn poll_guest(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Failure>> {
        match std::mem::replace(&mut self.guest, Producer::Finished) {
            Producer::Running(mut running) => match Pin::new(&mut running).poll(cx) {
                Poll::Pending => {
                    self.guest = Producer::Running(running);
                    Poll::Pending
                }
                Poll::Ready(Ok(())) => Poll::Ready(Ok(true)),
                Poll::Ready(Err(failure)) => {
                    self.guest = Producer::Failed {
                        failure,
                        _remains: running,
                    };
                    Poll::Ready(Ok(true))
                }
            },
            // Where it is lost the stream has ended, which is noticed here.
            Producer::Concurrent(lease) => {
                let lost = lease.lost();
                self.guest = Producer::Concurrent(lease);
                lost.map_or(Poll::Pending, |lost| Poll::Ready(Err(lost)))
            }
            Producer::Failed { failure, .. } => Poll::Ready(Err(failure)),
            Producer::Finished => Poll::Ready(Ok(false)),
        }
    }

    fn end(&mut self) {
        self.stream = None;
        self.guest = Producer::Finished;
    }
}

impl Body for GuestBody {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        match self.ready.pop_front() {
            Some(frame) => Poll::Ready(Some(Ok(frame))),
            None => match self.failure.take() {
                Some(failure) => Poll::Ready(Some(Err(failure))),
                None => self.poll_stream(cx),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_none() && self.ready.is_empty() && self.failure.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        // Trailers need chunked framing, so a body that has them does not tell its length.
        if self.stream.is_some()
            || self.failure.is_some()
            || self.ready.iter().any(Frame::is_trailers)
        {
            return SizeHint::default();
        }
        let pieces = self.ready.iter().filter_map(Frame::data_ref);
        SizeHint::with_exact(pieces.map(|data| data.len() as u64).sum())
    }
}

/// Says whether responses of this status have no content (RFC 9110 sections 15.3.5, 15.3.6 and 15.4.5).
pub fn is_bodiless(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED
    )
}

/// Runs the guest until its head is there, and then for as long as it writes its body without a pause.
pub fn poll_head(
    running: &mut Option<RunningGuest>,
    head: &mut oneshot::Receiver<Head>,
    bodiless: bool,
    cx: &mut Context<'_>,
) -> Poll<Result<http::Response<GuestBody>, Failure>> {
    let Some(guest) = running else {
        return Poll::Pending;
    };
    let polled = Pin::new(guest).poll(cx);
    let response = match head.try_recv() {
        Ok(Ok(response)) => response,
        Ok(Err(given)) => {
            let failure = match polled {
                Poll::Ready(Err(failure)) => failure,
                Poll::Ready(Ok(())) | Poll::Pending => given,
            };
            return Poll::Ready(Err(failure));
        }
        Err(_) => return polled.map(|ended| ended.and(Err(Failure::NoResponse))),
    };
    let guest = match (running.take().map(RunningGuest::begins_body), polled) {
        (Some(running), Poll::Pending) => Producer::Running(running),
        // What it has handed over may be all of its answer.
        (Some(running), Poll::Ready(Err(failure))) => Producer::Failed {
            failure,
            _remains: running,
        },
        _ => Producer::Finished,
    };
    Poll::Ready(GuestBody::begin(response, guest, bodiless, cx))
}
