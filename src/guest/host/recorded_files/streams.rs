//! The streams of files are recorded read by read, and read again where there is no file. What is written to one in a
//! replay is answered as it was, and goes nowhere.

use super::written::{self, Written, WrittenError};
use crate::guest::recording::{Recorder, written_as};
use bytes::Bytes;
use std::sync::Arc;
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, InputStream, OutputStream, Pollable, StreamError, StreamResult,
};

/// A `RecordedStream` is a stream of a file that has this name.
pub struct RecordedStream<S> {
    /// The replay has none.
    inner: Option<S>,
    recorder: Arc<Recorder>,
    name: String,
}

pub type RecordedInput = RecordedStream<DynInputStream>;
pub type RecordedOutput = RecordedStream<DynOutputStream>;

/// Gives the recorded answer, or has the stream answer and notes that.
macro_rules! recorded {
    ($stream:expr, $called:expr, $inner:ident => $ask:expr) => {{
        let called = format!("wasi:io/streams {} {}", $called, $stream.name);
        match &mut $stream.inner {
            None => again(&$stream.recorder, &called),
            Some($inner) => {
                let answer = $ask;
                note(&$stream.recorder, called, &answer);
                answer
            }
        }
    }};
}

/// Does so where the stream may take its time, in which that of the request may be up.
macro_rules! recorded_in_time {
    ($stream:expr, $called:expr, $inner:ident => $ask:expr) => {{
        let called = format!("wasi:io/streams {} {}", $called, $stream.name);
        match &mut $stream.inner {
            None => again_in_time(&$stream.recorder, &called).await,
            Some($inner) => {
                $stream.recorder.ask_host(&called);
                let answer = $ask;
                note(&$stream.recorder, called, &answer);
                answer
            }
        }
    }};
}

impl<S> RecordedStream<S> {
    pub fn new(inner: Option<S>, recorder: Arc<Recorder>, name: String) -> RecordedStream<S> {
        RecordedStream {
            inner,
            recorder,
            name,
        }
    }
}

fn again<T: Written>(recorder: &Recorder, called: &str) -> StreamResult<T> {
    told(written::again(recorder, called))
}

async fn again_in_time<T: Written>(recorder: &Recorder, called: &str) -> StreamResult<T> {
    told(written::again_in_time(recorder, called).await)
}

fn told<T>(recorded: Option<Result<T, WrittenError>>) -> StreamResult<T> {
    match recorded {
        Some(answer) => answer.map_err(WrittenError::stream_again),
        // The guest has gone another way.
        None => Err(StreamError::Closed),
    }
}

fn note<T: Written>(recorder: &Recorder, called: String, answer: &StreamResult<T>) {
    let answer = answer.as_ref().map_err(WrittenError::of_stream);
    written::note(recorder, called, answer);
}

/// A recorded answer is there at once: the guest waits for nothing.
#[wasmtime_wasi::async_trait]
impl<S: Pollable> Pollable for RecordedStream<S> {
    async fn ready(&mut self) {
        if let Some(inner) = &mut self.inner {
            inner.ready().await;
        }
    }
}

#[wasmtime_wasi::async_trait]
impl InputStream for RecordedInput {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        recorded!(self, format!("read {size}"), inner => inner.read(size))
    }

    async fn blocking_read(&mut self, size: usize) -> StreamResult<Bytes> {
        let called = format!("blocking-read {size}");
        recorded_in_time!(self, called, inner => inner.blocking_read(size).await)
    }

    async fn cancel(&mut self) {
        if let Some(inner) = &mut self.inner {
            inner.cancel().await;
        }
    }
}

#[wasmtime_wasi::async_trait]
impl OutputStream for RecordedOutput {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        recorded!(self, format!("write {}", written_as(&bytes)), inner => inner.write(bytes))
    }

    async fn blocking_write_and_flush(&mut self, bytes: Bytes) -> StreamResult<()> {
        let called = format!("blocking-write-and-flush {}", written_as(&bytes));
        recorded_in_time!(self, called, inner => inner.blocking_write_and_flush(bytes).await)
    }

    fn flush(&mut self) -> StreamResult<()> {
        recorded!(self, "flush", inner => inner.flush())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        let permit: StreamResult<u64> = recorded!(self, "check-write", inner => {
            inner.check_write().map(|bytes| bytes as u64)
        });
        permit.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX))
    }

    async fn cancel(&mut self) {
        if let Some(inner) = &mut self.inner {
            inner.cancel().await;
        }
    }
}
