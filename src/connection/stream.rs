//! A client's stream: it notes when bytes arrive and when they do not leave, and lets nothing of an
//! unsound HTTP/1 request pass. A client that sends no more gets what it asked for.

use super::activity::Activity;
use super::framing::{Edit, EditKind, Fault, Follower, Limits};
use super::resets::{Next, Resets};
use super::transport::Transport;
use super::unsent::{Kept, Unsent};
use super::write_batcher::WriteBatcher;
use crate::info;
use crate::request::Peer;
use bytes::{Buf, BytesMut};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// What an HTTP/2 client sends first (RFC 9113 section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a body holds ready beside what is to be written: a piece of a file, or of what a guest wrote.
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
    end: Option<End>,
    /// What of HTTP/1's answers the client does not take. Of HTTP/2, streams know that themselves.
    unsent: Option<Rc<Unsent>>,
    unsent_now: Option<Kept>,
    /// Who reads, once the client has ended; and whether all that was written since then has left.
    ended: Option<(Waker, bool)>,
    /// Follows HTTP/2's answers.
    resets: Option<(Resets, Peer)>,
    /// What leaves before anything else.
    first: BytesMut,
}

/// Why nothing more is read.
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

    /// From here on this is HTTP/1, whose answers leave with those of others.
    pub fn follow(
        &mut self,
        limits: Limits,
        write_batcher: &Rc<WriteBatcher>,
        unsent: &Rc<Unsent>,
    ) {
        self.follower = Some(Follower::new(limits));
        self.unsent = Some(unsent.clone());
        self.transport.socket().send_with(write_batcher);
    }

    /// Gives what this ran over, for whoever speaks something else from here on: none where more has come already.
    pub fn upgraded(self) -> Option<Transport> {
        let is_clean = self.kept.is_empty() && self.overflow.is_empty() && self.end.is_none();
        is_clean.then_some(self.transport)
    }

    pub fn into_transport(self) -> Transport {
        self.transport
    }

    /// From here on this is HTTP/2.
    pub fn follow_frames(&mut self, peer: Peer) {
        self.activity.follow_frames();
        self.resets = Some((Resets::default(), peer));
    }

    /// Answers what is to be reset without an answer; how many of these bytes may leave now.
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
            let Some((resets, peer)) = &mut self.resets else {
                return Poll::Ready(Ok(None));
            };
            match resets.next(slices.clone()) {
                Next::Go => return Poll::Ready(Ok(None)),
                Next::UpTo(length) => return Poll::Ready(Ok(Some(length))),
                Next::Answer(stream) => {
                    self.first.extend_from_slice(&resets.answer(stream));
                    info!("{peer} - refused a request: its head is malformed (400)");
                }
            }
        }
    }

    fn note_sent<'a>(
        &mut self,
        slices: impl Iterator<Item = &'a [u8]>,
        written: &Poll<io::Result<usize>>,
    ) {
        if let (Some((resets, _)), Poll::Ready(Ok(count))) = (&mut self.resets, written) {
            resets.sent(slices, *count);
        }
    }

    /// Lets pass what came after `known` as far as it is valid.
    fn examine(&mut self, buffer: &mut ReadBuf<'_>, known: usize) -> Poll<io::Result<()>> {
        let Some(follower) = &mut self.follower else {
            self.activity
                .received_frames(&mut buffer.filled_mut()[known..]);
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
            Err(Fault::Body { valid }) => (valid, End::Broken),
            Err(Fault::Head { valid, refusal }) => {
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

    /// Notes what became of so many bytes that were to be written.
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
        let known = self.unsent_now.as_ref().map(Kept::bytes);
        if let Some(unsent) = self.unsent.as_ref().filter(|_| known != Some(kept)) {
            self.unsent_now = None;
            self.unsent_now = Some(unsent.keep(self.activity.progress(), kept));
        }
    }

    /// Everything that was written has left.
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

/// Makes the changes in what came after `known`; what there is no room for afterwards.
pub(super) fn edit(buffer: &mut ReadBuf<'_>, known: usize, edits: &[Edit]) -> BytesMut {
    if edits.is_empty() {
        return BytesMut::new();
    }
    let came = buffer.filled()[known..].to_vec();
    let mut edited = BytesMut::with_capacity(came.len() + 2 * edits.len());
    let mut from = 0;
    for Edit { at, kind } in edits {
        edited.extend_from_slice(&came[from..*at]);
        match kind {
            EditKind::Encode => edited.extend_from_slice(format!("%{:02X}", came[*at]).as_bytes()),
            EditKind::Version => edited.extend_from_slice(b"1"),
        }
        from = at + 1;
    }
    edited.extend_from_slice(&came[from..]);
    buffer.set_filled(known);
    let fits = edited.split_to(edited.len().min(buffer.remaining()));
    buffer.put_slice(&fits);
    edited
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
            let length = self.overflow.len().min(buffer.remaining());
            buffer.put_slice(&self.overflow.split_to(length));
            return Poll::Ready(Ok(()));
        }
        if let Some(end) = self.end {
            return end.read();
        }
        let known = buffer.filled().len();
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
        self.examine(buffer, known)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_beyond_the_room_waits_for_more() {
        let mut room = [0; 12];
        let mut buffer = ReadBuf::new(&mut room);
        buffer.put_slice(b"oldGET /<>");
        let edits = [8, 9].map(|at| Edit {
            at: at - 3,
            kind: EditKind::Encode,
        });
        let rest = edit(&mut buffer, 3, &edits);
        assert_eq!(buffer.filled(), b"oldGET /%3C%");
        assert_eq!(&rest[..], b"3E");
    }
}
