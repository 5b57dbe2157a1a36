//! A `Follower` follows HTTP/1 requests through the bytes of a connection, so that each head is judged before it is
//! parsed, and nothing that is not part of a valid request gets any further.
//!
//! It is our own, as hyper has no mode that refuses what two readers could disagree on: bare LF, signs in
//! Content-Length, unusual codings, a repeated Host.

use super::chunks::Chunks;
use super::head::{self, Framing};
use super::head_end::{empty_line, end};
use super::refusal::HeadRefusal;
use super::request_target::is_for_a_url;
use crate::request::{AnnouncedBodies, AnnouncedBody};
use http::Request;
use std::sync::Arc;

/// The minor version stands at this place of `HTTP/1.1`.
const MINOR: usize = 7;

/// `HeadLimits` says how large a head may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// Request line and header fields may have this many bytes together.
    pub head: usize,
    /// There may be this many header fields.
    pub fields: usize,
}

/// An `Edit` is of a byte of a request line that whoever reads it next must not see as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The byte stands here among those that were followed.
    pub at: usize,
    pub kind: EditKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditKind {
    /// The byte is percent-encoded.
    Encode,
    /// The minor version becomes the one that is spoken.
    Version,
}

/// A `Follower` knows where in its requests a connection is.
pub struct Follower {
    state: Expected,
    /// The request line has come so far.
    line: Line,
    edits: Vec<Edit>,
    limits: HeadLimits,
    /// The head so far is kept here where it does not come in one piece.
    partial: Vec<u8>,
    /// This many heads were valid.
    requests: u64,
    announced: AnnouncedBodies,
}

/// A `Line` says where in a request line the next byte is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    /// The byte is before the request line.
    Start,
    Method,
    Target,
    /// The byte is this one of the version.
    Version(usize),
    /// The byte is behind the request line.
    Over,
}

enum Expected {
    Head,
    /// This much of a body is still to come.
    Length(u64),
    Chunked(Chunks, Arc<AnnouncedBody>),
    /// Nothing more is read.
    Refused,
}

/// A `FramingError` says that nothing from this place on may be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FramingError {
    /// A head is refused. The bytes before `valid` belong to earlier requests.
    Head { valid: usize, refusal: HeadRefusal },
    /// The body of a request that is being answered is broken, but for the bytes before `valid`.
    Body { valid: usize },
}

impl Follower {
    pub fn new(limits: HeadLimits) -> Follower {
        Follower {
            state: Expected::Head,
            line: Line::Start,
            edits: Vec::new(),
            limits,
            partial: Vec::new(),
            requests: 0,
            announced: AnnouncedBodies::default(),
        }
    }

    /// Gives what chunked bodies announce.
    pub fn announced(&self) -> AnnouncedBodies {
        self.announced.clone()
    }

    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// Says whether the body of a request is still to come.
    pub fn is_in_body(&self) -> bool {
        matches!(self.state, Expected::Length(_) | Expected::Chunked(..))
    }

    /// Returns what a head that was refused, or did not come to its end, asks for, where its first line is sound.
    pub fn asked(&self) -> Option<Request<()>> {
        let end = memchr::memchr(b'\n', &self.partial)?;
        head::asked(&self.partial[..end])
    }

    /// Gives what is to be changed in the bytes that were followed last.
    pub fn edits(&mut self) -> Vec<Edit> {
        std::mem::take(&mut self.edits)
    }

    /// Says whether no request has begun that has not ended.
    pub fn is_between_requests(&self) -> bool {
        matches!(self.state, Expected::Head) && self.partial.is_empty()
    }

    /// Takes note of the bytes that came next.
    pub fn follow(&mut self, bytes: &[u8]) -> Result<(), FramingError> {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            match &mut self.state {
                Expected::Head => match self.head(rest) {
                    Ok(read) => {
                        self.follow_line(&rest[..read], at);
                        at += read;
                    }
                    Err(refusal) => {
                        if self.partial.is_empty() {
                            let most = rest.len().min(self.limits.head);
                            self.partial.extend_from_slice(&rest[..most]);
                        }
                        self.state = Expected::Refused;
                        return Err(FramingError::Head { valid: at, refusal });
                    }
                },
                Expected::Length(left) => {
                    let read = rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= read as u64;
                    if *left == 0 {
                        self.state = Expected::Head;
                    }
                    at += read;
                }
                Expected::Chunked(chunks, body) => match chunks.follow(rest, |size| body.add(size))
                {
                    Ok(read) => {
                        if chunks.are_over() {
                            self.state = Expected::Head;
                        }
                        at += read;
                    }
                    Err(valid) => {
                        self.state = Expected::Refused;
                        return Err(FramingError::Body { valid: at + valid });
                    }
                },
                Expected::Refused => return Err(FramingError::Body { valid: at }),
            }
        }
        Ok(())
    }

    /// Reads on in a head; how many of the bytes belong to it.
    fn head(&mut self, bytes: &[u8]) -> Result<usize, HeadRefusal> {
        let known = self.partial.len();
        if known == 0 {
            // Empty lines before a head are passed over (RFC 9112 section 2.2).
            if let Some(b'\r' | b'\n') = bytes.first() {
                return empty_line(bytes, &mut self.partial);
            }
            return match end(bytes, 0, self.limits)? {
                Some(end) => self.validate(&bytes[..end]).map(|()| end),
                None => {
                    self.partial.extend_from_slice(bytes);
                    Ok(bytes.len())
                }
            };
        }
        self.partial.extend_from_slice(bytes);
        if self.partial.starts_with(b"\r") {
            let held = std::mem::take(&mut self.partial);
            let read = empty_line(&held, &mut self.partial)?;
            return Ok(read.saturating_sub(known));
        }
        let Some(end) = end(&self.partial, known, self.limits)? else {
            return Ok(bytes.len());
        };
        let whole = std::mem::take(&mut self.partial);
        if let Err(refusal) = self.validate(&whole[..end]) {
            self.partial = whole;
            return Err(refusal);
        }
        Ok(end - known)
    }

    /// Notes what is to be changed in these bytes of a head, the first of which is at `at`.
    fn follow_line(&mut self, bytes: &[u8], at: usize) {
        if self.line == Line::Start && matches!(bytes.first(), Some(b'\r' | b'\n')) {
            return;
        }
        for (index, byte) in bytes.iter().enumerate() {
            let kind = match (self.line, *byte) {
                (Line::Over, _) => break,
                (Line::Target, byte) if !is_for_a_url(byte) => Some(EditKind::Encode),
                (Line::Version(MINOR), b'2'..=b'9') => Some(EditKind::Version),
                _ => None,
            };
            self.edits.extend(kind.map(|kind| Edit {
                at: at + index,
                kind,
            }));
            self.line = match (self.line, *byte) {
                (_, b'\n') => Line::Over,
                (Line::Start, _) => Line::Method,
                (Line::Method, b' ') => Line::Target,
                (Line::Target, b' ') => Line::Version(0),
                (Line::Version(place), _) => Line::Version(place + 1),
                (line, _) => line,
            };
        }
        // A head that is whole was judged, and counted.
        if self.partial.is_empty() {
            self.line = Line::Start;
        }
    }

    fn validate(&mut self, head: &[u8]) -> Result<(), HeadRefusal> {
        self.state = match head::validate(head, self.limits.fields)? {
            Framing::Length(0) => Expected::Head,
            Framing::Length(length) => Expected::Length(length),
            Framing::Chunked => Expected::Chunked(Chunks::default(), self.announced.begin()),
        };
        self.requests += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HeadLimits = HeadLimits {
        head: 100,
        fields: 5,
    };

    /// Gives what becomes of bytes that come in pieces of this size: the status, or 200.
    fn in_pieces(text: &str, size: usize) -> u16 {
        let mut follower = Follower::new(LIMITS);
        for piece in text.as_bytes().chunks(size) {
            match follower.follow(piece) {
                Ok(()) => {}
                Err(FramingError::Head { refusal, .. }) => return refusal.status.as_u16(),
                Err(FramingError::Body { .. }) => return 0,
            }
        }
        assert!(follower.is_between_requests(), "{text:?} in {size}s");
        200
    }

    fn status(text: &str) -> u16 {
        let whole = in_pieces(text, text.len().max(1));
        for size in 1..text.len() {
            assert_eq!(in_pieces(text, size), whole, "{text:?} in {size}s");
        }
        whole
    }

    #[test]
    fn requests_are_followed_whatever_the_pieces() {
        let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nGET\n\n";
        let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                       3;a=b\r\nx\n\n\r\n0\r\nT: r\r\n\r\n";
        assert_eq!(status(&[get, post, chunked, "\r\n", get].concat()), 200);
    }

    #[test]
    fn a_second_request_is_judged_like_the_first() {
        let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab";
        assert_eq!(status(&format!("{post}GET / HTTP/1.1\r\n\r\n")), 400);
        let mut follower = Follower::new(LIMITS);
        let fault = follower.follow(format!("{post}GET / HTTP/1.1\n").as_bytes());
        let Err(FramingError::Head { valid, .. }) = fault else {
            panic!("{fault:?}");
        };
        assert_eq!(valid, post.len());
    }

    #[test]
    fn lines_end_in_carriage_return_and_line_feed() {
        for text in [
            "GET / HTTP/1.1\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n\n",
            "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        ] {
            assert_eq!(status(text), 400, "{text:?}");
        }
    }

    #[test]
    fn a_head_is_not_larger_than_allowed() {
        let target = "x".repeat(100);
        assert_eq!(
            status(&format!("GET /{target} HTTP/1.1\r\nHost: a\r\n\r\n")),
            414
        );
        assert_eq!(
            status(&format!("{target} / HTTP/1.1\r\nHost: a\r\n\r\n")),
            501
        );
        let field = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {target}\r\n\r\n");
        assert_eq!(status(&field), 431);
    }

    #[test]
    fn what_is_to_be_changed_in_request_lines_is_told_whatever_the_pieces() {
        let text = "\r\nGET /<a>?\"= HTTP/1.2\r\nHost: a\r\nX: <>\r\n\r\n";
        for requests in [text.to_owned(), [text, text].concat()] {
            for size in 1..=requests.len() {
                let mut follower = Follower::new(LIMITS);
                let mut seen = Vec::new();
                for (index, piece) in requests.as_bytes().chunks(size).enumerate() {
                    follower.follow(piece).unwrap();
                    let edits = follower.edits().into_iter();
                    seen.extend(edits.map(|edit| requests.as_bytes()[index * size + edit.at]));
                }
                let expected = b"<>\"2".repeat(requests.len() / text.len());
                assert_eq!(seen, expected, "in {size}s");
            }
        }
    }

    #[test]
    fn a_broken_body_is_told_from_a_broken_head() {
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        for body in ["x\r\n", "3\nabc", "3\r\nabcd\r\n", "0\r\nX: y\n\r\n"] {
            assert_eq!(status(&format!("{head}{body}")), 0, "{body:?}");
        }
    }
}
