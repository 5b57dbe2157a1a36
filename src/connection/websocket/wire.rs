//! A `Wire` has the bytes of a WebSocket, for a reader and writer that is told to come again where others wait.

use super::client_close::{Answer, ClientClose};
use crate::connection::activity::Activity;
use crate::request::websocket::Closed;
use bytes::Buf;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

/// A `Wire` is a transport that notes what comes, and what does not leave.
pub struct Wire<T> {
    transport: T,
    room: WriteCapacity,
    received: u64,
    client_close: ClientClose,
    answer: Option<Answer>,
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
            client_close: ClientClose::default(),
            answer: None,
        }
    }

    /// Gives what the client has closed with, where the parser says this of it. It is answered with the same.
    pub fn closed_with(&mut self, parsed: CloseFrame) -> Closed {
        let (closed, answer) = self.client_close.read(parsed);
        self.answer = answer;
        closed
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
                self.wire.client_close.pass(buffer.filled());
                Ok(length)
            }
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl<T: AsyncWrite + Unpin> Now<'_, '_, T> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<usize> {
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

    /// Writes an answer of our own in the place of the parser's, once nothing else is before it.
    fn put_instead(&mut self, mut answer: Answer, bytes: &[u8]) -> io::Result<usize> {
        let before = bytes.strip_suffix(&answer.parsed[..]).unwrap_or(bytes);
        if !before.is_empty() {
            self.wire.answer = Some(answer);
            return self.put(before);
        }
        while answer.own.has_remaining() {
            match self.put(&answer.own) {
                Ok(0) => return Ok(0),
                Ok(length) => answer.own.advance(length),
                Err(error) => {
                    self.wire.answer = Some(answer);
                    return Err(error);
                }
            }
        }
        Ok(bytes.len())
    }
}

impl<T: AsyncWrite + Unpin> Write for Now<'_, '_, T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.wire.answer.take() {
            Some(answer) => self.put_instead(answer, bytes),
            None => self.put(bytes),
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
