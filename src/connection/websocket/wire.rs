//! A `Wire` has the bytes of a WebSocket, for a reader and writer that is told to come again where others wait.

use crate::connection::activity::Activity;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A `Wire` is a transport that notes what comes, and what does not leave.
pub struct Wire<T> {
    transport: T,
    room: WriteCapacity,
    received: u64,
}

/// A `WriteCapacity` knows whether the client has room for what is written.
pub enum WriteCapacity {
    OfConnection(Rc<Activity>),
    /// The transport itself.
    OfTransport,
}

impl WriteCapacity {
    /// The client takes nothing of what is written, or some.
    fn wrote(&self, bytes: Option<usize>) {
        if let WriteCapacity::OfConnection(activity) = self {
            activity.wrote(bytes);
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Wire<T> {
    pub fn new(transport: T, room: WriteCapacity) -> Wire<T> {
        Wire {
            transport,
            room,
            received: 0,
        }
    }

    pub fn into_transport(self) -> T {
        self.transport
    }

    /// Returns the bytes that have come.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Gives what reads and writes as far as that is possible now; whoever polls is woken when more is.
    pub fn now<'a, 'b>(&'a mut self, cx: &'a mut Context<'b>) -> Now<'a, 'b, T> {
        Now { wire: self, cx }
    }
}

pub struct Now<'a, 'b, T> {
    wire: &'a mut Wire<T>,
    cx: &'a mut Context<'b>,
}

impl<T: AsyncRead + Unpin> Read for Now<'_, '_, T> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(bytes);
        match Pin::new(&mut self.wire.transport).poll_read(self.cx, &mut buffer) {
            Poll::Ready(Ok(())) => {
                let length = buffer.filled().len();
                self.wire.received += length as u64;
                Ok(length)
            }
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl<T: AsyncWrite + Unpin> Write for Now<'_, '_, T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match Pin::new(&mut self.wire.transport).poll_write(self.cx, bytes) {
            Poll::Ready(Ok(length)) => {
                self.wire.room.wrote(Some(length));
                Ok(length)
            }
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => {
                self.wire.room.wrote(None);
                Err(io::ErrorKind::WouldBlock.into())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match Pin::new(&mut self.wire.transport).poll_flush(self.cx) {
            Poll::Ready(Ok(())) => {
                self.wire.room.wrote(Some(0));
                Ok(())
            }
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => {
                self.wire.room.wrote(None);
                Err(io::ErrorKind::WouldBlock.into())
            }
        }
    }
}
