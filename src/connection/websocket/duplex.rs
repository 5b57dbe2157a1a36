//! A stream of HTTP/2 is the transport of a WebSocket here (RFC 8441): what comes and what leaves are its data.

use crate::connection::activity::Activity;
use crate::request::ClientProgress;
use bytes::{Buf, Bytes};
use h2::{RecvStream, SendStream};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub struct Duplex {
    receiver: RecvStream,
    sender: SendStream<Bytes>,
    /// This came, and was not read yet.
    piece: Bytes,
    /// This was written, and is not sent yet: the client has no room for it.
    unsent: Bytes,
    progress: Rc<ClientProgress>,
    activity: Rc<Activity>,
}

impl Duplex {
    pub fn new(
        receiver: RecvStream,
        sender: SendStream<Bytes>,
        progress: &Rc<ClientProgress>,
        activity: &Rc<Activity>,
    ) -> Duplex {
        Duplex {
            receiver,
            sender,
            piece: Bytes::new(),
            unsent: Bytes::new(),
            progress: progress.clone(),
            activity: activity.clone(),
        }
    }

    /// Sends what was written, as fast as the client makes room for it.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            self.sender.reserve_capacity(self.unsent.len());
            if self.sender.capacity() == 0 {
                match self.sender.poll_capacity(cx) {
                    Poll::Ready(Some(Ok(_))) => continue,
                    Poll::Ready(Some(Err(error))) => {
                        return Poll::Ready(Err(io::Error::other(error)));
                    }
                    Poll::Ready(None) => {
                        return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
                    }
                    Poll::Pending => {
                        if !self.progress.is_waited_for() {
                            self.progress.waits_for_room();
                        }
                        return Poll::Pending;
                    }
                }
            }
            let length = self.sender.capacity().min(self.unsent.len());
            let data = self.unsent.split_to(length);
            self.progress.took(length);
            // The client may answer each frame with two that make room again (RFC 9113 section 6.9.1).
            self.activity.earn(4 * (1 + length as u64 / FRAME));
            let sent = self.sender.send_data(data, false);
            sent.map_err(io::Error::other)?;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Duplex {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.piece.is_empty() {
            match ready!(self.receiver.poll_data(cx)) {
                Some(Ok(piece)) => {
                    let _ = self.receiver.flow_control().release_capacity(piece.len());
                    self.piece = piece;
                }
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                None => return Poll::Ready(Ok(())),
            }
        }
        let length = self.piece.len().min(buffer.remaining());
        buffer.put_slice(&self.piece[..length]);
        self.piece.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Duplex {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_send(cx))?;
        self.unsent = Bytes::copy_from_slice(bytes);
        let length = bytes.len();
        match self.poll_send(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(length)),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_send(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        let sent = self.sender.send_data(Bytes::new(), true);
        Poll::Ready(sent.map_err(io::Error::other))
    }
}

/// A frame has no more bytes than this, unless the client says otherwise (RFC 9113 section 4.2).
const FRAME: u64 = 16 << 10;
