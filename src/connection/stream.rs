//! A `Stream` is a client's: it notes when bytes arrive and when they do not leave, and lets nothing of an invalid
//! HTTP/1 request pass, nor half a head of HTTP/2. A client that sends no more gets what it asked for.

use super::ClientConnection;
use super::activity::Activity;
use super::edits::edit;
use super::framing::{Follower, FramingError, HeadLimits};
use super::head_end;
use super::refusal::MALFORMED;
use super::resets::{AcceptedStreams, Release, Resets};
use super::transport::Transport;
use super::unsent::{HeldBytes, Unsent};
use super::write_batcher::WriteBatcher;
use crate::request::AnnouncedBodies;
use bytes::{Buf, BytesMut};
use http::Request;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// An HTTP/2 client sends this first (RFC 9113 section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A body holds this many bytes ready beside what is to be written: a piece of a file, or of what a guest wrote.
const BESIDE: usize = 64 << 10;

pub struct Stream {
    transport: Transport,
    activity: Rc<Activity>,
    /// Read before it was known how to speak, and to be read again.
    kept: BytesMut,
    /// Follows HTTP/1.
    follower: Option<Follower>,
    /// Sound, and longer than it came, so that there was no room for it.
    overflow: BytesMut,
    /// These bytes of HTTP/2 are not passed on before more of them have come.
    held: BytesMut,
    end: Option<End>,
    /// The worker keeps what the client does not take of HTTP/1's answers here. Of HTTP/2, streams know that
    /// themselves.
    unsent: Option<Rc<Unsent>>,
    unsent_now: Option<HeldBytes>,
    /// The client has ended: this wakes the reader, and says whether all that was written since then has left.
    ended: Option<(Waker, bool)>,
    /// Follows HTTP/2's answers.
    resets: Option<(Resets, Rc<ClientConnection>)>,
    /// These bytes leave before anything else.
    first: BytesMut,
}

/// An `End` says why nothing more is read.
#[derive(Clone, Copy)]
enum End {
    /// A head was refused: whoever runs this connection sees that, and ends it.
    Refused,
    /// A body is broken, and whoever reads it is to know.
    Broken,
}

impl Stream {
    pub fn new(transport: Transport, activity: Rc<Activity>) -> Stream {
        Stream {
            transport,
            activity,
            kept: BytesMut::new(),
            follower: None,
            overflow: BytesMut::new(),
            held: BytesMut::new(),
            end: None,
            unsent: None,
            unsent_now: None,
            ended: None,
            resets: None,
            first: BytesMut::new(),
        }
    }

    /// Reads as much as it takes to know whether the client speaks HTTP/2 without being asked.
    pub async fn speaks_http2(&mut self) -> io::Result<bool> {
        self.kept.reserve(4096);
        loop {
            if self.transport.read_buf(&mut self.kept).await? == 0 {
                return Ok(false);
            }
            self.activity.received(false, true);
            let compared = self.kept.len().min(PREFACE.len());
            if self.kept[..compared] != PREFACE[..compared] {
                return Ok(false);
            }
            if compared == PREFACE.len() {
                return Ok(true);
            }
        }
    }

    /// Follows HTTP/1 from here on, whose answers leave with those of others. Gives what its chunked bodies announce.
    pub fn follow(
        &mut self,
        limits: HeadLimits,
        write_batcher: &Rc<WriteBatcher>,
        unsent: &Rc<Unsent>,
    ) -> AnnouncedBodies {
        let follower = Follower::new(limits);
        let announced = follower.announced();
        self.follower = Some(follower);
        self.unsent = Some(unsent.clone());
        self.transport.socket().send_with(write_batcher);
        announced
    }

    /// Gives what this ran over, for whoever speaks something else from here on: none where more has come already.
    pub fn upgraded(self) -> Option<Transport> {
        let is_clean = self.kept.is_empty() && self.overflow.is_empty() && self.end.is_none();
        is_clean.then_some(self.transport)
    }

    /// Returns what a head that was refused asks for, as far as it is known.
    pub fn asked(&self) -> Option<Request<()>> {
        self.follower.as_ref()?.asked()
    }

    pub fn into_transport(self) -> Transport {
        self.transport
    }

    /// Follows HTTP/2 from here on.
    pub fn follow_frames(&mut self, client: &Rc<ClientConnection>, accepted: AcceptedStreams) {
        let longest = client.longest_head();
        self.activity
            .follow_frames(longest, client.speaks_for_many());
        self.resets = Some((Resets::new(accepted), client.clone()));
    }

    /// Answers what is to be reset without an answer, and says how many of these bytes may leave now.
    fn poll_answer<'a>(
        &mut self,
        cx: &mut Context<'_>,
        slices: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> Poll<io::Result<Option<usize>>> {
        loop {
            while self.first.has_remaining() {
                let written = Pin::new(&mut self.transport).poll_write(cx, &self.first);
                self.note(self.first.len(), &written);
                self.first.advance(ready!(written)?);
            }
            let Some((resets, client)) = &mut self.resets else {
                return Poll::Ready(Ok(None));
            };
            match resets.next(slices.clone()) {
                Release::Go => return Poll::Ready(Ok(None)),
                Release::UpTo(length) => return Poll::Ready(Ok(Some(length))),
                Release::Answer(stream) => {
                    self.first.extend_from_slice(&resets.answer(stream));
                    client.note_unread(MALFORMED);
                }
            }
        }
    }

    fn note_sent<'a>(
        &mut self,
        slices: impl Iterator<Item = &'a [u8]>,
        written: &Poll<io::Result<usize>>,
    ) {
        if let (Some((resets, client)), Poll::Ready(Ok(count))) = (&mut self.resets, written) {
            resets.sent(slices, *count);
            (0..resets.take_refused()).for_each(|_| client.note_unread(head_end::TOO_LARGE));
        }
    }

    /// Lets pass what came after `known` as far as it is valid.
    fn examine(&mut self, buffer: &mut ReadBuf<'_>, known: usize) -> Poll<io::Result<()>> {
        let Some(follower) = &mut self.follower else {
            self.examine_frames(buffer, known);
            return Poll::Ready(Ok(()));
        };
        let came = &buffer.filled()[known..];
        let (was_in_body, requests) = (follower.is_in_body(), follower.requests());
        let followed = follower.follow(came);
        let edits = follower.edits();
        let is_in_body = follower.is_in_body();
        let begins = !(is_in_body || follower.is_between_requests());
        let more = !was_in_body || begins || follower.requests() > requests;
        self.activity.received(is_in_body, more);
        let (valid, end) = match followed {
            Ok(()) => {
                self.overflow = edit(buffer, known, &edits);
                return Poll::Ready(Ok(()));
            }
            Err(FramingError::Body { valid }) => (valid, End::Broken),
            Err(FramingError::Head { valid, refusal }) => {
                self.activity.refuse(refusal, follower.requests());
                (valid, End::Refused)
            }
        };
        self.end = Some(end);
        buffer.set_filled(known + valid);
        self.overflow = edit(buffer, known, &edits);
        if valid == 0 {
            end.read()
        } else {
            Poll::Ready(Ok(()))
        }
    }

    /// Lets pass what may be passed on of HTTP/2's frames, which may be nothing of what came after `known`.
    fn examine_frames(&mut self, buffer: &mut ReadBuf<'_>, known: usize) {
        let came = &mut buffer.filled_mut()[known..];
        if self.held.is_empty() {
            let passes = self.activity.received_frames(came);
            self.held.extend_from_slice(&came[passes..]);
            buffer.set_filled(known + passes);
            return;
        }
        self.held.extend_from_slice(came);
        buffer.set_filled(known);
        let passes = self.activity.received_frames(&mut self.held);
        self.overflow = self.held.split_to(passes);
        self.pass_overflow(buffer);
    }

    fn pass_overflow(&mut self, buffer: &mut ReadBuf<'_>) {
        let length = self.overflow.len().min(buffer.remaining());
        buffer.put_slice(&self.overflow.split_to(length));
    }

    /// The client sends no more. Whoever reads is told only when everything was answered: it would give up.
    fn poll_end(&mut self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        self.activity.end();
        // Requests may have come that did not begin; of HTTP/2 it is not known.
        let is_busy = match &self.follower {
            Some(follower) => self.activity.is_busy_with(follower.requests()),
            None => self.activity.is_busy(),
        };
        let has_left = match &self.ended {
            Some((_, left)) => *left && !is_busy,
            None => self.follower.is_some() && !is_busy,
        };
        if has_left || self.activity.is_cut_short() {
            return Poll::Ready(Ok(()));
        }
        self.ended = Some((cx.waker().clone(), false));
        Poll::Pending
    }

    /// Notes what became of this many bytes that were to be written.
    fn note(&mut self, length: usize, written: &Poll<io::Result<usize>>) {
        match written {
            Poll::Ready(Ok(bytes)) => {
                self.unsent_now = None;
                self.activity.wrote(Some(*bytes));
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                self.activity.wrote(None);
                self.note_unsent(length);
            }
        }
    }

    fn note_unsent(&mut self, length: usize) {
        let kept = length + BESIDE;
        let known = self.unsent_now.as_ref().map(HeldBytes::bytes);
        if let Some(unsent) = self.unsent.as_ref().filter(|_| known != Some(kept)) {
            self.unsent_now = None;
            self.unsent_now = Some(unsent.keep(self.activity.progress(), kept));
        }
    }

    /// Notes that everything that was written has left.
    fn note_flushed(&mut self) {
        if let Some((reader, left)) = &mut self.ended
            && !*left
            && !self.activity.is_busy()
        {
            *left = true;
            reader.wake_by_ref();
        }
    }
}

impl End {
    fn read(self) -> Poll<io::Result<()>> {
        match self {
            End::Refused => Poll::Pending,
            End::Broken => Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.overflow.has_remaining() {
            self.pass_overflow(buffer);
            return Poll::Ready(Ok(()));
        }
        if let Some(end) = self.end {
            return end.read();
        }
        let known = buffer.filled().len();
        loop {
            if self.kept.has_remaining() {
                let length = self.kept.len().min(buffer.remaining());
                buffer.put_slice(&self.kept.split_to(length));
            } else {
                if self.ended.is_none() {
                    ready!(Pin::new(&mut self.transport).poll_read(cx, buffer))?;
                }
                if buffer.filled().len() == known {
                    return self.poll_end(cx);
                }
            }
            ready!(self.examine(buffer, known))?;
            // Nothing would be the end.
            if buffer.filled().len() > known {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let most = ready!(self.poll_answer(cx, std::iter::once(bytes)))?;
        let bytes = &bytes[..most.unwrap_or(bytes.len())];
        let written = Pin::new(&mut self.transport).poll_write(cx, bytes);
        self.note(bytes.len(), &written);
        self.note_sent(std::iter::once(bytes), &written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let each = slices.iter().map(|slice| &**slice);
        if let Some(most) = ready!(self.poll_answer(cx, each.clone()))? {
            // Rare: the first of the slices is enough.
            let bytes = each.clone().find(|bytes| !bytes.is_empty());
            let bytes = bytes.map_or(&[][..], |bytes| &bytes[..bytes.len().min(most)]);
            return self.poll_write(cx, bytes);
        }
        let written = Pin::new(&mut self.transport).poll_write_vectored(cx, slices);
        self.note_sent(each, &written);
        let length = slices.iter().map(|slice| slice.len()).sum();
        self.note(length, &written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.transport).poll_flush(cx);
        match flushed {
            Poll::Pending => self.activity.wrote(None),
            Poll::Ready(_) => {
                self.activity.wrote(Some(0));
                self.note_flushed();
            }
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_shutdown(cx)
    }
}
