//! This file says, for fuzzing, what must hold for any bytes that a client sends.

use super::edits::edit;
use super::frames::Frames;
use super::framing::{Follower, FramingError, HeadLimits};
use super::proxy;
use super::stream::PREFACE;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::cell::RefCell;
use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const LIMITS: HeadLimits = HeadLimits {
    head: 600,
    fields: 12,
};

/// `Followed` says what became of bytes.
#[derive(Debug, PartialEq, Eq)]
struct Followed {
    /// The parser behind is given these bytes.
    passed: Vec<u8>,
    /// A head is refused with this status; a body that is broken has none.
    fault: Option<Option<u16>>,
    requests: u64,
    is_between_requests: bool,
}

/// The first byte says how large the pieces are in which the others come.
pub fn http1(bytes: &[u8]) {
    let Some((piece, bytes)) = bytes.split_first() else {
        return;
    };
    let piece = usize::from(*piece).max(1);
    let whole = followed(bytes, bytes.len().max(1));
    let pieces = followed(bytes, piece);
    assert_eq!(
        (whole.fault, whole.requests, whole.is_between_requests),
        (pieces.fault, pieces.requests, pieces.is_between_requests),
        "whole and in pieces of {piece}"
    );
    // Of a head that is refused at last, the first pieces are on their way already.
    let passed = pieces.passed.get(..whole.passed.len());
    assert_eq!(passed, Some(&whole.passed[..]), "what is passed on");
    for passed in [&whole.passed, &pieces.passed] {
        let methods = methods(bytes);
        assert_eq!(methods.len() as u64, whole.requests);
        let (seen, goes_on) = seen_by_hyper(passed, piece);
        assert!(
            methods.starts_with(&seen),
            "hyper sees {seen:?}, and it should be {methods:?}"
        );
        if goes_on && whole.is_between_requests {
            assert_eq!(seen.len(), methods.len(), "hyper sees fewer requests");
        }
    }
}

fn followed(bytes: &[u8], piece: usize) -> Followed {
    let mut follower = Follower::new(LIMITS);
    let (mut passed, mut fault) = (Vec::new(), None);
    for piece in bytes.chunks(piece) {
        let (valid, found) = match follower.follow(piece) {
            Ok(()) => (piece.len(), None),
            Err(FramingError::Head { valid, refusal }) => {
                (valid, Some(Some(refusal.status.as_u16())))
            }
            Err(FramingError::Body { valid }) => (valid, Some(None)),
        };
        let mut room = piece[..valid].to_vec();
        let mut buffer = ReadBuf::new(&mut room);
        buffer.set_filled(valid);
        let overflow = edit(&mut buffer, 0, &follower.edits());
        passed.extend_from_slice(buffer.filled());
        passed.extend_from_slice(&overflow);
        if found.is_some() {
            fault = found;
            break;
        }
    }
    Followed {
        passed,
        fault,
        requests: follower.requests(),
        is_between_requests: fault.is_none() && follower.is_between_requests(),
    }
}

/// Gives the method of each request whose head is valid.
fn methods(bytes: &[u8]) -> Vec<String> {
    let mut follower = Follower::new(LIMITS);
    let (mut methods, mut start) = (Vec::new(), 0);
    for (at, byte) in bytes.iter().enumerate() {
        if follower.is_between_requests() {
            start = at;
        }
        let before = follower.requests();
        if follower.follow(&[*byte]).is_err() {
            break;
        }
        if follower.requests() > before {
            let method = bytes[start..].split(|byte| *byte == b' ').next();
            methods.push(String::from_utf8_lossy(method.unwrap_or_default()).into_owned());
        }
    }
    methods
}

/// Gives the methods of the requests that hyper sees, and whether it would go on reading.
fn seen_by_hyper(bytes: &[u8], piece: usize) -> (Vec<String>, bool) {
    let seen = RefCell::new(Vec::new());
    let service = service_fn(async |request: Request<hyper::body::Incoming>| {
        seen.borrow_mut().push(request.method().to_string());
        // Broken bodies are cut off, which is told by what follows.
        let _ = request.into_body().collect().await;
        Ok::<_, Infallible>(Response::new(Empty::<&[u8]>::new()))
    });
    let client = ReceivedBytes { bytes, piece };
    let mut builder = Builder::new();
    builder.half_close(false);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(client), service));
    let mut cx = Context::from_waker(Waker::noop());
    // Nobody wakes it: each turn may bring it a piece further.
    let turns = 8 + 4 * bytes.len();
    let goes_on = (0..turns).all(|_| connection.as_mut().poll(&mut cx).is_pending());
    let seen = seen.borrow().clone();
    (seen, goes_on)
}

/// `ReceivedBytes` is a client that has sent all that it will ever send, and takes every answer.
struct ReceivedBytes<'a> {
    bytes: &'a [u8],
    piece: usize,
}

impl AsyncRead for ReceivedBytes<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.bytes.is_empty() {
            return Poll::Pending;
        }
        let length = self.piece.min(self.bytes.len()).min(buffer.remaining());
        let (read, rest) = self.bytes.split_at(length);
        buffer.put_slice(read);
        self.bytes = rest;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ReceivedBytes<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The first byte says how large the pieces are in which the others come, after the preface.
pub fn http2(bytes: &[u8]) {
    let Some((piece, bytes)) = bytes.split_first() else {
        return;
    };
    let sent = [PREFACE, bytes].concat();
    let counted = |piece: usize| {
        let (mut frames, mut held, mut passed) = (Frames::new(usize::MAX), Vec::new(), Vec::new());
        for piece in sent.chunks(piece) {
            held.extend_from_slice(piece);
            let passes = frames.follow(&mut held, Instant::now);
            passed.extend(held.drain(..passes));
        }
        (frames.idle(), frames.head_since().is_some(), passed)
    };
    let whole = counted(sent.len());
    assert_eq!(whole, counted(usize::from(*piece).max(1)));
    assert_eq!(whole.0, idle_frames(bytes));
}

/// Counts the frames that bring nothing, as RFC 9113 section 4.1 has them begin.
fn idle_frames(mut bytes: &[u8]) -> u64 {
    let (mut idle, data, headers, continuation, end_stream) = (0, 0, 1, 9, 1);
    while let Some((header, rest)) = bytes.split_first_chunk::<9>() {
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
        let is_idle = match header[3] {
            kind if kind == data => length == 0 && header[4] & end_stream == 0,
            kind => kind != headers && kind != continuation,
        };
        idle += u64::from(is_idle);
        bytes = rest.get(length..).unwrap_or_default();
    }
    idle
}

/// Longer beginnings of a header are not told apart from it one by one.
const BEGINNINGS: usize = 300;

pub fn proxy_header(bytes: &[u8]) {
    let whole = proxy::length(bytes);
    for end in 0..bytes.len().min(BEGINNINGS) {
        match (proxy::length(&bytes[..end]), &whole) {
            (Ok(None), _) => {}
            (Ok(told), Ok(whole)) => assert_eq!(told, *whole, "after {end} bytes"),
            (told, whole) => assert_eq!(told.is_err(), whole.is_err(), "after {end} bytes"),
        }
    }
    if let Ok(Some(length)) = whole
        && let Some(header) = bytes.get(..length)
    {
        let _ = proxy::named(header);
    }
}
