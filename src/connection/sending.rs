//! This file sends the body of an HTTP/2 response, no faster than the client makes room for it, and no longer than it
//! does.

use super::ClientConnection;
use super::unsent::HeldBytes;
use crate::request::{Body, BodyReading, ClientProgress, Timer};
use bytes::Bytes;
use h2::SendStream;
use http_body::Body as _;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// `Stopped` says why a body was not sent to its end.
pub enum Stopped {
    /// There is no more of it.
    Unfinished,
    /// The client does not take it.
    Stalled,
    /// The client does not want it, or is gone.
    Gone,
}

/// Sends a body.
pub async fn send(
    client: &ClientConnection,
    progress: &Rc<ClientProgress>,
    reading: &BodyReading,
    body: Body,
    sender: SendStream<Bytes>,
) -> Result<(), Stopped> {
    let write = client.connections.settings.write;
    let mut timer = Timer::default();
    let mut sending = Sending {
        client,
        progress,
        reading,
        body: Some(body).filter(|body| !body.is_end_stream()),
        sender,
        piece: Bytes::new(),
        kept: None,
    };
    poll_fn(|cx| {
        let polled = sending.poll(cx);
        if polled.is_ready() {
            return polled;
        }
        let stalled = progress.poll_stalled(&mut timer, write, cx);
        stalled.map(|()| Err(Stopped::Stalled))
    })
    .await
}

struct Sending<'a> {
    client: &'a ClientConnection,
    progress: &'a Rc<ClientProgress>,
    /// The request's body is read like this.
    reading: &'a BodyReading,
    /// The body is `None` once all of it is in `piece` or beyond.
    body: Option<Body>,
    sender: SendStream<Bytes>,
    /// This was taken from the body, and is not yet sent.
    piece: Bytes,
    kept: Option<HeldBytes>,
}

impl Sending<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Stopped>> {
        // Also has the client's reset wake this.
        if self.sender.poll_reset(cx).is_ready() {
            return Poll::Ready(Err(Stopped::Gone));
        }
        loop {
            if !self.piece.is_empty() {
                if ready!(self.poll_piece(cx))? {
                    return Poll::Ready(Ok(()));
                }
                continue;
            }
            let Some(body) = &mut self.body else {
                return self.poll_finish(cx);
            };
            let frame = match ready!(Pin::new(&mut *body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(_)) => return Poll::Ready(Err(Stopped::Unfinished)),
                None => {
                    self.body = None;
                    continue;
                }
            };
            // What the guest holds is free from here on, whatever the client takes.
            if body.is_end_stream() {
                self.body = None;
            }
            match frame.into_data() {
                Ok(data) => self.piece = data,
                Err(frame) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        return Poll::Ready(self.sent(|sender| sender.send_trailers(trailers)));
                    }
                }
            }
        }
    }

    /// Ends the stream once nobody reads the request any more: some clients send no more of it from then on.
    fn poll_finish(&mut self, cx: &Context<'_>) -> Poll<Result<(), Stopped>> {
        match self.reading.is_over(cx) {
            true => Poll::Ready(self.sent(|sender| sender.send_data(Bytes::new(), true))),
            false => Poll::Pending,
        }
    }

    /// Sends as much as the client has room for; whether that ended the stream.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Stopped>> {
        self.sender.reserve_capacity(self.piece.len());
        if self.sender.capacity() == 0 {
            match self.sender.poll_capacity(cx) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(_) => return Poll::Ready(Err(Stopped::Gone)),
                Poll::Pending => {
                    self.wait(cx);
                    return Poll::Pending;
                }
            }
        }
        let room = self.sender.capacity().min(self.piece.len());
        let data = self.piece.split_to(room);
        let is_last = self.piece.is_empty() && self.body.is_none() && self.reading.is_over(cx);
        self.progress.took(room);
        self.kept = None;
        // The client may answer each frame with two that make room again (RFC 9113 section 6.9.1).
        let frames = 1 + room as u64 / FRAME;
        self.client.activity.earn(4 * frames);
        let sent = self.sent(|sender| sender.send_data(data, is_last));
        Poll::Ready(sent.map(|()| is_last))
    }

    /// Waits for the client, while the guest goes on.
    fn wait(&mut self, cx: &mut Context<'_>) {
        self.progress.waits_for_room();
        let length = self.piece.len();
        let unsent = &self.client.connections.unsent;
        if self.kept.as_ref().is_none_or(|kept| kept.bytes() != length) {
            self.kept = None;
            self.kept = Some(unsent.keep(self.progress, length));
        }
        if let Some(body) = &mut self.body {
            body.poll_ahead(cx);
        }
    }

    fn sent(
        &mut self,
        send: impl FnOnce(&mut SendStream<Bytes>) -> Result<(), h2::Error>,
    ) -> Result<(), Stopped> {
        send(&mut self.sender).map_err(|_| Stopped::Gone)
    }
}

/// A frame has no more bytes than this, unless the client says otherwise (RFC 9113 section 4.2).
const FRAME: u64 = 16 << 10;
