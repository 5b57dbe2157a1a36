//! What a guest writes to stdout and stderr becomes lines of the log, whole and recognisable.

use super::guest_logger::GuestLogger;
use super::log_level;
use super::standing_resources::{HandedOut, ResourceOrigin};
use crate::guest::snapshot::StandingResource;
use crate::log::{GuestStream, Level};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{DynOutputStream, OutputStream, Pollable, StreamResult};

/// A line longer than this leaves in pieces of this many bytes.
const LONGEST_LINE: usize = 8 << 10;

/// A `GuestOutput` is one output of one instance. Handles to it share the line that is being written.
#[derive(Clone)]
pub struct GuestOutput {
    lines: Arc<Mutex<LineBuffer>>,
    handed_out: HandedOut,
    stream: StandingResource,
}

/// An `OutputHandle` is what a guest has of an output.
struct OutputHandle(GuestOutput);

struct LineBuffer {
    stream: GuestStream,
    logger: Arc<GuestLogger>,
    unfinished: Vec<u8>,
    /// The last line that was not indented had this level.
    level: Level,
}

impl GuestOutput {
    pub fn new(
        stream: GuestStream,
        logger: Arc<GuestLogger>,
        handed_out: HandedOut,
    ) -> GuestOutput {
        GuestOutput {
            lines: Arc::new(Mutex::new(LineBuffer {
                stream,
                logger,
                unfinished: Vec::new(),
                level: unnamed(stream),
            })),
            handed_out,
            stream: match stream {
                GuestStream::Stderr => StandingResource::Error,
                GuestStream::Stdout | GuestStream::Log => StandingResource::Output,
            },
        }
    }

    /// Makes a stream that a guest may write to.
    pub fn handle(&self, origin: ResourceOrigin) -> DynOutputStream {
        let handle = Box::new(OutputHandle(self.clone()));
        self.handed_out.note(&*handle, self.stream, origin);
        handle
    }

    /// Writes the line that was begun, whether the guest has ended it or not.
    pub fn end_line(&self) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if !lines.unfinished.is_empty() {
            lines.flush();
        }
    }

    fn push(&self, bytes: &[u8]) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push(bytes);
    }
}

impl LineBuffer {
    fn push(&mut self, bytes: &[u8]) {
        for mut piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            while self.unfinished.len() + piece.len() > LONGEST_LINE {
                let (fits, rest) = piece.split_at(LONGEST_LINE - self.unfinished.len());
                self.unfinished.extend_from_slice(fits);
                self.flush();
                piece = rest;
            }
            self.unfinished.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                self.flush();
            }
        }
    }

    fn flush(&mut self) {
        let line = std::mem::take(&mut self.unfinished);
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\n', '\r']);
        // What is indented goes on with what was said before.
        if !text.starts_with([' ', '\t']) {
            self.level = log_level::detect(text).unwrap_or(unnamed(self.stream));
        }
        self.logger.say(self.level, self.stream, "", text);
    }
}

/// Chooses the level of lines that name none. Standard error is where a program says what went wrong.
fn unnamed(stream: GuestStream) -> Level {
    match stream {
        GuestStream::Stderr => Level::Error,
        GuestStream::Stdout | GuestStream::Log => Level::Info,
    }
}

impl Drop for LineBuffer {
    fn drop(&mut self) {
        if !self.unfinished.is_empty() {
            self.flush();
        }
    }
}

impl IsTerminal for GuestOutput {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestOutput {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        self.handle(ResourceOrigin::Request)
    }
}

impl OutputStream for OutputHandle {
    fn write(&mut self, bytes: bytes::Bytes) -> StreamResult<()> {
        self.0.push(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(LONGEST_LINE)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for OutputHandle {
    async fn ready(&mut self) {}
}

impl Drop for OutputHandle {
    fn drop(&mut self) {
        self.0.handed_out.forget(self);
    }
}

impl AsyncWrite for GuestOutput {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.push(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_an_end_leaves_in_pieces() {
        let output = GuestOutput::new(
            GuestStream::Stdout,
            Arc::new(GuestLogger::new(None)),
            HandedOut::default(),
        );
        output.push(&[b'x'; 3 * LONGEST_LINE - 1]);
        let unfinished = |output: &GuestOutput| output.lines.lock().unwrap().unfinished.len();
        assert_eq!(unfinished(&output), LONGEST_LINE - 1);
        output.push(b"y\nz");
        assert_eq!(unfinished(&output), 1);
        output.end_line();
        assert_eq!(unfinished(&output), 0);
    }
}
