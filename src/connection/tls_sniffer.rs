//! The first byte of a socket is looked at here, so that a client that speaks no TLS can be told in words: the TLS
//! library would answer it with an alert.

use super::socket::Socket;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A TLS client sends this first: a record of the handshake (RFC 8446 section 5.1).
const HANDSHAKE: u8 = 22;

pub struct TlsSniffer {
    socket: Socket,
    first_byte: FirstByte,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum FirstByte {
    Awaited,
    Tls,
    Plain,
}

impl TlsSniffer {
    pub fn new(socket: Socket) -> TlsSniffer {
        TlsSniffer {
            socket,
            first_byte: FirstByte::Awaited,
        }
    }

    pub fn is_plain(&self) -> bool {
        self.first_byte == FirstByte::Plain
    }

    /// Says whether nothing has come.
    pub fn is_silent(&self) -> bool {
        self.first_byte == FirstByte::Awaited
    }

    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    pub fn into_socket(self) -> Socket {
        self.socket
    }
}

impl AsyncRead for TlsSniffer {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let known = buffer.filled().len();
        ready!(Pin::new(&mut self.socket).poll_read(cx, buffer))?;
        if self.first_byte == FirstByte::Awaited {
            self.first_byte = match buffer.filled().get(known) {
                None => FirstByte::Awaited,
                Some(&HANDSHAKE) => FirstByte::Tls,
                Some(_) => FirstByte::Plain,
            };
        }
        Poll::Ready(if self.is_plain() {
            Err(io::ErrorKind::InvalidData.into())
        } else {
            Ok(())
        })
    }
}

impl AsyncWrite for TlsSniffer {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
