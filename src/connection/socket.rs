//! A `Socket` is the stream socket of one client.

use super::write_batcher::WriteBatcher;
use crate::sys::socket;
use bytes::{Buf, BytesMut};
use std::cell::{Cell, OnceCell, RefCell};
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// No more than this waits to leave with others.
const SMALL: usize = 16 << 10;

/// A `Socket` has small writes leave together with those of others.
pub struct Socket {
    wire: Rc<RefCell<Wire>>,
    /// The write batcher is `None` where everything leaves at once.
    write_batcher: OnceCell<Rc<WriteBatcher>>,
}

/// A `Wire` is what its write batcher knows of a socket.
pub struct Wire {
    stream: Accepted,
    /// These bytes are still to be written.
    unsent: BytesMut,
    /// The wire waits for the write batcher, and this is woken when the bytes could not be written.
    waits: Option<Waker>,
}

/// A `Probe` tells how much of what was written has arrived.
pub struct Probe {
    wire: Rc<RefCell<Wire>>,
    known: Cell<u64>,
}

/// An `Accepted` connection is as it was accepted.
pub enum Accepted {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Hands a call on to whichever it is. `tokio_util::either` cannot: sockets are asked whether they are ready and
/// written to without waiting, which is no part of `AsyncRead` and `AsyncWrite`.
macro_rules! either {
    ($stream:expr, $inner:ident => $call:expr) => {
        match $stream {
            Accepted::Tcp($inner) => $call,
            Accepted::Unix($inner) => $call,
        }
    };
}

impl Socket {
    pub fn new(stream: Accepted) -> Socket {
        // Lets answers leave at once: a response is written whole.
        if let Accepted::Tcp(stream) = &stream {
            let _ = stream.set_nodelay(true);
        }
        let wire = Wire {
            stream,
            unsent: BytesMut::new(),
            waits: None,
        };
        Socket {
            wire: Rc::new(RefCell::new(wire)),
            write_batcher: OnceCell::new(),
        }
    }

    /// Has small writes leave with those of others from here on.
    pub fn send_with(&self, write_batcher: &Rc<WriteBatcher>) {
        self.write_batcher.get_or_init(|| write_batcher.clone());
    }

    /// Returns the address that the client connected to.
    pub fn server(&self) -> Option<SocketAddr> {
        match &self.wire.borrow().stream {
            Accepted::Tcp(stream) => stream.local_addr().ok(),
            Accepted::Unix(_) => None,
        }
    }

    /// Gives what has come, without taking it; nothing where the client has ended.
    pub async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        poll_fn(|cx| self.wire.borrow().poll_peek(cx, buffer)).await
    }

    pub fn probe(&self) -> Probe {
        Probe {
            wire: self.wire.clone(),
            known: Cell::new(0),
        }
    }

    /// Makes the end of the connection a reset, which no client takes for the end of a body.
    pub fn reset_at_end(&self) {
        if let Accepted::Tcp(stream) = &self.wire.borrow().stream {
            let _ = stream.set_zero_linger();
        }
    }
}

impl Probe {
    /// Returns the bytes that have arrived since this was asked last, as far as that can be told.
    pub fn taken(&self) -> usize {
        let arrived = match &self.wire.borrow().stream {
            Accepted::Tcp(stream) => socket::acknowledged(stream.as_fd()).unwrap_or(0),
            Accepted::Unix(_) => 0,
        };
        let before = self.known.replace(arrived);
        usize::try_from(arrived.saturating_sub(before)).unwrap_or(usize::MAX)
    }
}

impl Wire {
    fn poll_peek(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(either!(&self.stream, stream => stream.poll_read_ready(cx)))?;
            let peeked = either!(&self.stream, stream => {
                stream.try_io(Interest::READABLE, || socket::peek(stream.as_fd(), buffer))
            });
            match peeked {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                peeked => return Poll::Ready(peeked),
            }
        }
    }

    /// Writes what has waited, as far as that is possible now.
    pub fn send(&mut self) {
        let Some(waker) = self.waits.take() else {
            return;
        };
        let sent = either!(&self.stream, stream => stream.try_write(&self.unsent));
        match sent {
            Ok(sent) if sent == self.unsent.len() => self.unsent = BytesMut::new(),
            Ok(sent) => {
                self.unsent.advance(sent);
                waker.wake();
            }
            // Whoever is woken sees the error, or waits until more can be written.
            Err(_) => waker.wake(),
        }
    }

    /// Writes what has waited, all of it.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.waits = None;
        while self.unsent.has_remaining() {
            let sent = ready!(either!(&mut self.stream, stream => {
                Pin::new(stream).poll_write(cx, &self.unsent)
            }))?;
            self.unsent.advance(sent);
        }
        Poll::Ready(Ok(()))
    }

    /// Keeps it for when its turn in the write batcher comes; also whether it has none yet.
    fn keep(&mut self, cx: &Context<'_>, slices: &[IoSlice<'_>]) -> bool {
        slices
            .iter()
            .for_each(|slice| self.unsent.extend_from_slice(slice));
        match &mut self.waits {
            Some(waker) => {
                waker.clone_from(cx.waker());
                false
            }
            None => {
                self.waits = Some(cx.waker().clone());
                true
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(&mut self.wire.borrow_mut().stream, stream => Pin::new(stream).poll_read(cx, buffer))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length: usize = slices.iter().map(|slice| slice.len()).sum();
        // May write what waits, this socket's own included.
        let can_wait =
            |write_batcher: &&Rc<WriteBatcher>| length <= SMALL && write_batcher.can_wait();
        let write_batcher = self.write_batcher.get().filter(can_wait);
        let mut wire = self.wire.borrow_mut();
        let is_free = wire.unsent.is_empty() || wire.waits.is_some();
        if let Some(write_batcher) = write_batcher
            && is_free
            && wire.unsent.len() + length <= SMALL
        {
            if wire.keep(cx, slices) {
                write_batcher.put(&self.wire);
            }
            return Poll::Ready(Ok(length));
        }
        ready!(wire.poll_send(cx))?;
        either!(&mut wire.stream, stream => Pin::new(stream).poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Flushes at once: what waits in the write batcher is as good as written.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut wire = self.wire.borrow_mut();
        match &mut wire.waits {
            Some(waker) => waker.clone_from(cx.waker()),
            None => ready!(wire.poll_send(cx))?,
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut wire = self.wire.borrow_mut();
        ready!(wire.poll_send(cx))?;
        either!(&mut wire.stream, stream => Pin::new(stream).poll_shutdown(cx))
    }
}
