//! A client's stream: it notes when bytes arrive and when they do not leave, and lets nothing of an
//! unsound HTTP/1 request pass.

use super::activity::Activity;
use super::framing::{Fault, Follower, Limits};
use super::outbox::Outbox;
use super::transport::Transport;
use bytes::{Buf, BytesMut};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// What an HTTP/2 client sends first (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub struct Stream {
    transport: Transport,
    activity: Rc<Activity>,
    /// Read before it was known how to speak, and to be read again.
    kept: BytesMut,
    /// Follows HTTP/1.
    follower: Option<Follower>,
    end: Option<End>,
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
            end: None,
        }
    }

    /// Reads as much as it takes to know whether the client speaks HTTP/2 without being asked.
    pub async fn speaks_http2(&mut self) -> io::Result<bool> {
        self.kept.reserve(4096);
        loop {
            if self.transport.read_buf(&mut self.kept).await? == 0 {
                return Ok(false);
            }
            self.activity.received();
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
    pub fn follow(&mut self, limits: Limits, outbox: &Rc<Outbox>) {
        self.follower = Some(Follower::new(limits));
        self.transport.socket().send_with(outbox);
    }

    pub fn into_transport(self) -> Transport {
        self.transport
    }

    /// Lets pass what came after `known` as far as it is sound.
    fn examine(&mut self, buffer: &mut ReadBuf<'_>, known: usize) -> Poll<io::Result<()>> {
        let Some(follower) = &mut self.follower else {
            self.activity.received_frames(buffer.filled().len() - known);
            return Poll::Ready(Ok(()));
        };
        self.activity.received();
        let (sound, end) = match follower.follow(&buffer.filled()[known..]) {
            Ok(()) => return Poll::Ready(Ok(())),
            Err(Fault::Body { sound }) => (sound, End::Broken),
            Err(Fault::Head { sound, refusal }) => {
                self.activity.refuse(refusal, follower.requests());
                (sound, End::Refused)
            }
        };
        self.end = Some(end);
        buffer.set_filled(known + sound);
        if sound == 0 {
            end.read()
        } else {
            Poll::Ready(Ok(()))
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
        if let Some(end) = self.end {
            return end.read();
        }
        let known = buffer.filled().len();
        if self.kept.has_remaining() {
            let length = self.kept.len().min(buffer.remaining());
            buffer.put_slice(&self.kept.split_to(length));
        } else {
            ready!(Pin::new(&mut self.transport).poll_read(cx, buffer))?;
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
        let written = Pin::new(&mut self.transport).poll_write(cx, bytes);
        self.activity.set_blocked(written.is_pending());
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.transport).poll_write_vectored(cx, slices);
        self.activity.set_blocked(written.is_pending());
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.transport).poll_flush(cx);
        self.activity.set_blocked(flushed.is_pending());
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_shutdown(cx)
    }
}
