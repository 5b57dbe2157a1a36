//! What a server sends is read message by message, and each is held in memory as a whole. A message that is larger
//! than the guest may have ends the connection before it is read.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsStream};

/// Every message may have so many bytes: errors, and what is asked beside a guest's statements.
const ALWAYS: usize = 64 << 10;

/// A `Bound` is shared by a connection and whoever asks over it.
#[derive(Clone)]
pub struct Bound(Arc<AtomicUsize>);

impl Bound {
    pub fn new() -> Bound {
        Bound(Arc::new(AtomicUsize::new(ALWAYS)))
    }

    /// Lets messages have so many bytes from now on.
    pub fn set(&self, bytes: usize) {
        self.0.store(bytes.max(ALWAYS), Relaxed);
    }
}

/// A message begins with its kind and, in four bytes, its length beside the kind (PostgreSQL's documentation, section
/// "Message Formats").
const HEAD: usize = 5;

/// A `Bounded` stream fails where a message is too large.
pub struct Bounded<S> {
    stream: S,
    bound: Bound,
    head: [u8; HEAD],
    /// So much of the head was read.
    known: usize,
    /// So much of the message follows.
    rest: usize,
}

impl<S> Bounded<S> {
    pub fn new(stream: S, bound: Bound) -> Bounded<S> {
        Bounded {
            stream,
            bound,
            head: [0; HEAD],
            known: 0,
            rest: 0,
        }
    }

    /// Follows the messages in what was read.
    fn follow(&mut self, mut read: &[u8]) -> io::Result<()> {
        while !read.is_empty() {
            if self.rest > 0 {
                let passed = self.rest.min(read.len());
                self.rest -= passed;
                read = &read[passed..];
                continue;
            }
            let taken = (HEAD - self.known).min(read.len());
            self.head[self.known..][..taken].copy_from_slice(&read[..taken]);
            self.known += taken;
            read = &read[taken..];
            if self.known == HEAD {
                self.known = 0;
                let [_, length @ ..] = self.head;
                let length = u32::from_be_bytes(length) as usize;
                let most = self.bound.0.load(Relaxed);
                if length > most {
                    return Err(io::Error::other(TOO_LARGE));
                }
                self.rest = length.saturating_sub(HEAD - 1);
            }
        }
        Ok(())
    }
}

/// The guest is told this where a row is too large, or all of them are.
pub const TOO_LARGE: &str = "the result is more than the memory that is left (--max-memory)";

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        Poll::Ready(self.follow(&buffer.filled()[before..]))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Bounded<S> {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(length: usize) -> Vec<u8> {
        let mut message = vec![b'D'];
        message.extend((length as u32 + 4).to_be_bytes());
        message.resize(length + HEAD, 0);
        message
    }

    #[test]
    fn messages_are_followed_however_they_come_and_a_large_one_is_refused() {
        for piece in [1, 2, 7, 4096] {
            let mut bounded = Bounded::new((), Bound::new());
            let mut all: Vec<u8> = [0, 1, 300].into_iter().flat_map(message).collect();
            for piece in all.chunks(piece) {
                bounded.follow(piece).unwrap();
            }
            assert_eq!((bounded.known, bounded.rest), (0, 0));
            all = message(ALWAYS);
            assert!(
                all.chunks(piece)
                    .any(|piece| bounded.follow(piece).is_err())
            );
        }
        let bound = Bound::new();
        let mut bounded = Bounded::new((), bound.clone());
        bound.set(1 << 20);
        bounded.follow(&message(ALWAYS)).unwrap();
    }
}
