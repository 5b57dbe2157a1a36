//! This file follows the frames that an HTTP/2 client is sent. Where a stream is reset because its head was malformed,
//! the client gets an answer first (RFC 9113 section 8.1.1): the library beneath resets such streams without a word. A head
//! that is too large that library answers itself, which nobody else would hear of.
//!
//! Neither answer has a body: the client's windows count what is sent in one (RFC 9113 section 5.2), and only that library
//! knows what they have room for.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

const HEADER: usize = 9;
/// RST_STREAM has this many bytes, with its reason, which is all of its payload.
const RESET: usize = HEADER + 4;

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// A head that has a status alone takes no more than this: its name by index, and three digits (RFC 7541 section 6.2).
const STATUS_ALONE: usize = 5;

/// The reason has this code (RFC 9113 section 7).
const PROTOCOL_ERROR: [u8; 4] = [0, 0, 0, 1];

/// This is the head of a 400 without a body, from the static table alone (RFC 7541 appendix A): `:status 400`,
/// `content-length: 0`.
const BAD_REQUEST: [u8; 5] = [0x8c, 0x0f, 0x0d, 0x01, b'0'];

/// This many streams that had an answer are remembered: more than are open at a time, as a rule.
const REMEMBERED: usize = 256;

/// `AcceptedStreams` are those whose requests the library beneath has handed out, the last of them last.
#[derive(Clone, Default)]
pub struct AcceptedStreams(Rc<RefCell<VecDeque<u32>>>);

impl AcceptedStreams {
    pub fn add(&self, stream: u32) {
        let mut streams = self.0.borrow_mut();
        if streams.len() == REMEMBERED {
            streams.pop_front();
        }
        streams.push_back(stream);
    }

    fn has(&self, stream: u32) -> bool {
        self.0.borrow().contains(&stream)
    }
}

/// `Resets` follows one connection.
#[derive(Default)]
pub struct Resets {
    accepted: AcceptedStreams,
    /// The library beneath has refused this many heads that were too large.
    refused: usize,
    position: FramePosition,
    /// These streams have had the head of an answer; the last of them come last.
    answered: VecDeque<u32>,
}

/// A `FramePosition` says where in the frames the next byte stands.
#[derive(Clone, Copy, Default)]
struct FramePosition {
    header: [u8; RESET],
    known: usize,
    /// This much of the payload is left.
    left: usize,
}

/// A `Frame` is the beginning of one that is sent.
struct Frame {
    length: usize,
    kind: u8,
    flags: u8,
    stream: u32,
    reason: [u8; 4],
}

/// `Release` says what is to be sent before what comes next.
#[derive(Debug, PartialEq, Eq)]
pub enum Release {
    /// These bytes may be sent as they are.
    Go,
    /// Only this many bytes are to be sent at first.
    UpTo(usize),
    /// An answer to this stream is to be sent.
    Answer(u32),
}

impl FramePosition {
    /// Takes one frame's beginning out of the bytes; returns how many bytes that took.
    fn step(&mut self, bytes: &[u8]) -> (usize, Option<Frame>) {
        if self.left > 0 {
            let taken = bytes.len().min(self.left);
            self.left -= taken;
            return (taken, None);
        }
        let wanted = match self.known >= 4 && self.header[3] == RST_STREAM {
            true => RESET,
            false if self.known < 4 => 4,
            false => HEADER,
        };
        let taken = bytes.len().min(wanted - self.known);
        self.header[self.known..self.known + taken].copy_from_slice(&bytes[..taken]);
        self.known += taken;
        if self.known < HEADER || self.known < wanted {
            return (taken, None);
        }
        let [
            high,
            middle,
            low,
            kind,
            flags,
            one,
            two,
            three,
            four,
            reason @ ..,
        ] = self.header;
        let length = u32::from_be_bytes([0, high, middle, low]) as usize;
        self.left = (HEADER + length).saturating_sub(self.known);
        self.known = 0;
        let frame = Frame {
            length,
            kind,
            flags,
            stream: u32::from_be_bytes([one & 0x7f, two, three, four]),
            reason,
        };
        (taken, Some(frame))
    }
}

impl Resets {
    pub fn new(accepted: AcceptedStreams) -> Resets {
        Resets {
            accepted,
            ..Resets::default()
        }
    }

    /// Takes how many heads were refused since this was asked last.
    pub fn take_refused(&mut self) -> usize {
        std::mem::take(&mut self.refused)
    }

    /// Says what is to be sent before these bytes, which come next.
    pub fn next<'a>(&self, slices: impl Iterator<Item = &'a [u8]>) -> Release {
        let mut position = self.position;
        // A frame whose beginning has left cannot have anything before it.
        let (mut at, mut start) = (0, (position.known == 0).then_some(0));
        for mut bytes in slices {
            while !bytes.is_empty() {
                if position.known == 0 && position.left == 0 {
                    start = Some(at);
                }
                let (taken, frame) = position.step(bytes);
                (at, bytes) = (at + taken, &bytes[taken..]);
                match (frame.filter(|frame| self.is_unanswered(frame)), start) {
                    (Some(frame), Some(0)) => return Release::Answer(frame.stream),
                    (Some(_), Some(start)) => return Release::UpTo(start),
                    _ => {}
                }
            }
        }
        Release::Go
    }

    fn is_unanswered(&self, frame: &Frame) -> bool {
        frame.kind == RST_STREAM
            && frame.reason == PROTOCOL_ERROR
            && !self.answered.contains(&frame.stream)
    }

    /// Makes the answer to a stream, which is told from here on to have one.
    pub fn answer(&mut self, stream: u32) -> Vec<u8> {
        self.begun(stream);
        let mut frame = vec![
            0,
            0,
            BAD_REQUEST.len() as u8,
            HEADERS,
            END_STREAM | END_HEADERS,
        ];
        frame.extend_from_slice(&stream.to_be_bytes());
        frame.extend_from_slice(&BAD_REQUEST);
        frame
    }

    /// Notes that this many of these bytes were sent.
    pub fn sent<'a>(&mut self, slices: impl Iterator<Item = &'a [u8]>, mut count: usize) {
        for bytes in slices {
            let mut bytes = &bytes[..bytes.len().min(count)];
            count -= bytes.len();
            while !bytes.is_empty() {
                let (taken, frame) = self.position.step(bytes);
                bytes = &bytes[taken..];
                if let Some(frame) = frame {
                    self.note(&frame);
                }
            }
        }
    }

    fn note(&mut self, frame: &Frame) {
        if frame.kind != HEADERS {
            return;
        }
        let is_alone = frame.flags == END_STREAM | END_HEADERS && frame.length <= STATUS_ALONE;
        let is_known = self.accepted.has(frame.stream) || self.answered.contains(&frame.stream);
        self.refused += usize::from(is_alone && !is_known);
        self.begun(frame.stream);
    }

    fn begun(&mut self, stream: u32) {
        if self.answered.len() == REMEMBERED {
            self.answered.pop_front();
        }
        self.answered.push_back(stream);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let head = [0, 0, payload.len() as u8, kind, flags, 0, 0, 0, stream];
        [&head[..], payload].concat()
    }

    /// Gives what a client gets of these frames, which leave in pieces of this size.
    fn told(frames: &[u8], piece: usize) -> Vec<u8> {
        let (mut resets, mut left, mut told) = (Resets::default(), frames, Vec::new());
        while !left.is_empty() {
            let length = match resets.next([left].into_iter()) {
                Release::Go => left.len().min(piece),
                Release::UpTo(length) => length.min(piece),
                Release::Answer(stream) => {
                    told.extend(resets.answer(stream));
                    continue;
                }
            };
            resets.sent([left].into_iter(), length);
            told.extend_from_slice(&left[..length]);
            left = &left[length..];
        }
        told
    }

    #[test]
    fn a_stream_that_is_reset_without_an_answer_gets_one_first() {
        let settings = frame(4, 0, 0, &[]);
        let whole = frame(HEADERS, 4, 1, b"head");
        let rest = frame(0, END_STREAM, 1, b"body");
        let reset = frame(RST_STREAM, 0, 3, &PROTOCOL_ERROR);
        let answer = frame(HEADERS, 5, 3, &BAD_REQUEST);
        let frames = [&settings[..], &whole, &reset, &rest, &reset].concat();
        // It is told once.
        let expected = [&settings[..], &whole, &answer, &reset, &rest, &reset].concat();
        for piece in 1..frames.len() {
            assert_eq!(told(&frames, piece), expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn other_resets_are_left_alone() {
        let begun = frame(HEADERS, 4, 1, b"head");
        let broken = frame(RST_STREAM, 0, 1, &PROTOCOL_ERROR);
        let refused = frame(RST_STREAM, 0, 3, &[0, 0, 0, 7]);
        let frames = [begun, broken, refused].concat();
        assert_eq!(told(&frames, 7), frames);
    }

    #[test]
    fn heads_that_nobody_else_has_seen_are_counted() {
        let accepted = AcceptedStreams::default();
        accepted.add(1);
        let mut resets = Resets::new(accepted);
        let ends = END_STREAM | END_HEADERS;
        let frames = [
            frame(HEADERS, ends, 1, b"\x89"),
            frame(HEADERS, ends, 3, b"H\x83i\x90\xff"),
            frame(HEADERS, ends, 5, b"\xbe"),
            // Trailers of a stream that is not remembered any more.
            frame(HEADERS, ends, 7, b"\x00\x01a\x03123"),
        ]
        .concat();
        for piece in frames.chunks(4) {
            resets.sent([piece].into_iter(), piece.len());
        }
        assert_eq!((resets.take_refused(), resets.take_refused()), (2, 0));
    }
}
