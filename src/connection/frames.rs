//! `Frames` follows the frames that an HTTP/2 client sends (RFC 9113 section 4.1): which cost work and bring nothing,
//! and since when the head of a request is unfinished. Looks into none of them but for targets and for what
//! heads and trailers may not have, and holds heads back for that until they are whole.

use super::field_blocks::{FieldBlock, MOST_BYTES};
use super::malformed_streams::MalformedStreams;
use super::stream::PREFACE;
use super::targets::Targets;
use crate::request::BodyReading;
use http::Uri;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

pub const HEADER: usize = 9;
/// The flags are here in a frame's header.
const FLAGS: usize = 4;

/// Padding and the beginnings of frames take this much at most, which does not count as a head.
const AROUND_HEAD: usize = 1 << 10;

const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

pub struct Frames {
    state: FrameState,
    /// Frames that brought nothing.
    idle: u64,
    /// A head, or what may be one, is unfinished since then.
    head: Option<Instant>,
    /// A head has begun that further frames are to end.
    continues: bool,
    /// The client has begun no stream after this one: another head on it, or on one before, is of trailers.
    latest: u32,
    /// Streams that are answered before all of their request has come.
    early: HashMap<u32, Arc<BodyReading>>,
    targets: Targets,
    malformed: MalformedStreams,
    /// A head is held back until this many bytes of it have come.
    held: usize,
}

#[derive(Clone, Copy)]
enum FrameState {
    /// This many bytes of the preface have come.
    Preface(usize),
    /// The next byte begins a frame.
    Between,
    /// This much of a frame is still to come.
    Payload { left: usize, kind: u8 },
}

/// `Header` is what a frame begins with.
pub struct Header {
    pub length: usize,
    pub kind: u8,
    pub flags: u8,
    stream: u32,
}

impl Header {
    pub fn read(bytes: &[u8; HEADER]) -> Header {
        let [high, middle, low, kind, flags, stream @ ..] = *bytes;
        Header {
            length: u32::from_be_bytes([0, high, middle, low]) as usize,
            kind,
            flags,
            // The first bit is reserved.
            stream: u32::from_be_bytes(stream) & (u32::MAX >> 1),
        }
    }
}

impl Frames {
    /// Heads may have this many bytes: what is longer is not held back, and whoever reads it refuses it.
    pub fn new(longest_head: usize) -> Frames {
        Frames {
            state: FrameState::Preface(0),
            idle: 0,
            head: None,
            continues: false,
            latest: 0,
            early: HashMap::new(),
            targets: Targets::default(),
            malformed: MalformedStreams::default(),
            held: longest_head.saturating_add(AROUND_HEAD).min(MOST_BYTES),
        }
    }

    pub fn idle(&self) -> u64 {
        self.idle
    }

    /// Says since when a head is unfinished.
    pub fn head_since(&self) -> Option<Instant> {
        self.head
    }

    /// Says whether the request of this stream may be taken, whose target is put back.
    pub fn admits(&mut self, stream: u32, target: &mut Uri) -> bool {
        !self.malformed.take(stream) && self.targets.restore(target)
    }

    /// This stream has an answer that goes on while its request comes; without `reading` that is over.
    pub fn answers_early(&mut self, stream: u32, reading: Option<&Arc<BodyReading>>) {
        match reading {
            Some(reading) => self.early.insert(stream, reading.clone()),
            None => self.early.remove(&stream),
        };
    }

    /// Takes note of the bytes that came next, and returns how many of them may be passed on; the others are to be
    /// shown again with what comes after them. Where a request that is answered early ends, its reader is told, and
    /// nobody else: short of the length that it announced, its stream would be reset, and the answer with it.
    pub fn follow(&mut self, bytes: &mut [u8], now: impl Fn() -> Instant) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            match self.step(&mut bytes[at..]) {
                0 => break,
                taken => at += taken,
            }
        }
        match at < bytes.len() || self.is_in_head() {
            true => self.head = Some(self.head.unwrap_or_else(now)),
            false => self.head = None,
        }
        at
    }

    /// Takes some bytes; none where more of them must be here.
    fn step(&mut self, bytes: &mut [u8]) -> usize {
        let (taken, next) = match self.state {
            FrameState::Preface(known) => {
                let taken = bytes.len().min(PREFACE.len() - known);
                (taken, FrameState::Preface(known + taken))
            }
            FrameState::Payload { left, kind } => {
                let taken = bytes.len().min(left);
                (
                    taken,
                    FrameState::Payload {
                        left: left - taken,
                        kind,
                    },
                )
            }
            FrameState::Between => {
                let Some(header) = bytes.first_chunk().map(Header::read) else {
                    return 0;
                };
                if header.kind == HEADERS {
                    let block = FieldBlock::find(bytes, self.held);
                    let Some(examined) = block.examine(bytes, &mut self.targets) else {
                        return 0;
                    };
                    let is_of_trailers = header.stream <= self.latest;
                    match (is_of_trailers, examined.is_malformed) {
                        // Trailers that do not end their stream are malformed for the library beneath, too.
                        (true, is_malformed) if is_malformed || examined.has_pseudo => {
                            bytes[FLAGS] &= !END_STREAM;
                        }
                        (false, true) => self.malformed.add(header.stream),
                        _ => {}
                    }
                    self.latest = self.latest.max(header.stream);
                }
                if self.ends_early(&header) {
                    bytes[FLAGS] &= !END_STREAM;
                }
                (HEADER, self.begin(&header))
            }
        };
        self.state = match next {
            FrameState::Payload { left: 0, .. } => FrameState::Between,
            FrameState::Preface(known) if known == PREFACE.len() => FrameState::Between,
            next => next,
        };
        taken
    }

    fn begin(&mut self, header: &Header) -> FrameState {
        let Header {
            length: left,
            kind,
            flags,
            ..
        } = *header;
        match kind {
            HEADERS | CONTINUATION => self.continues = flags & END_HEADERS == 0,
            DATA if left > 0 || flags & END_STREAM != 0 => {}
            _ => self.idle += 1,
        }
        FrameState::Payload { left, kind }
    }

    /// Says whether this ends a request that is answered early: its reader is told.
    fn ends_early(&mut self, header: &Header) -> bool {
        if header.kind != DATA || header.flags & END_STREAM == 0 {
            return false;
        }
        let reading = self.early.remove(&header.stream);
        reading.is_some_and(|reading| {
            reading.leave();
            true
        })
    }

    fn is_in_head(&self) -> bool {
        match self.state {
            FrameState::Preface(_) => true,
            FrameState::Between => self.continues,
            // A body may take its time; how fast it comes is looked at elsewhere.
            FrameState::Payload { kind, .. } => self.continues || kind != DATA,
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
        [&head[..], payload].concat()
    }

    /// Follows these bytes in pieces of this size.
    fn followed(bytes: &[u8], piece: usize) -> Frames {
        let mut frames = Frames::new(MOST_BYTES);
        let sent = [PREFACE, bytes].concat();
        assert!(sent.starts_with(&passed(&mut frames, &sent, piece)));
        frames
    }

    /// Gives what is passed on of these bytes when they come in pieces of this size.
    fn passed(frames: &mut Frames, bytes: &[u8], piece: usize) -> Vec<u8> {
        let (mut held, mut passed) = (Vec::new(), Vec::new());
        for piece in bytes.chunks(piece) {
            held.extend_from_slice(piece);
            let passes = frames.follow(&mut held, Instant::now);
            passed.extend(held.drain(..passes));
        }
        passed
    }

    #[test]
    fn frames_that_bring_nothing_are_counted_whatever_the_pieces() {
        const PRIORITY: u8 = 2;
        const WINDOW_UPDATE: u8 = 8;
        let bytes = [
            frame(HEADERS, END_HEADERS, b"block"),
            frame(DATA, 0, b"data"),
            frame(DATA, 0, b""),
            frame(PRIORITY, 0, b"12345"),
            frame(WINDOW_UPDATE, 0, b"1234"),
            frame(DATA, END_STREAM, b""),
        ]
        .concat();
        for piece in 1..bytes.len() {
            let frames = followed(&bytes, piece);
            assert_eq!((frames.idle(), frames.head_since()), (3, None));
        }
    }

    #[test]
    fn a_head_is_unfinished_until_its_last_piece_has_come() {
        let begun = frame(HEADERS, 0, b"block");
        assert!(followed(&begun, 3).head_since().is_some());
        let more = [begun.clone(), frame(CONTINUATION, 0, b"block")].concat();
        assert!(followed(&more, 5).head_since().is_some());
        let whole = [more, frame(CONTINUATION, END_HEADERS, b"block")].concat();
        assert!(followed(&whole, 7).head_since().is_none());
        assert!(
            followed(&whole[..whole.len() - 1], 7)
                .head_since()
                .is_some()
        );
    }

    #[test]
    fn the_time_of_a_head_counts_from_its_first_byte() {
        let start = Instant::now();
        let mut frames = Frames::new(MOST_BYTES);
        frames.follow(&mut PREFACE.to_vec(), || start);
        assert_eq!(frames.head_since(), None);
        let mut block = frame(HEADERS, END_HEADERS, b"block");
        for length in 1..block.len() {
            let now = start + std::time::Duration::from_secs(length as u64 - 1);
            assert_eq!(frames.follow(&mut block[..length], || now), 0);
            assert_eq!(frames.head_since(), Some(start));
        }
        assert_eq!(frames.follow(&mut block, || start), block.len());
        assert_eq!(frames.head_since(), None);
    }

    #[test]
    fn no_more_is_held_back_than_a_head_may_have() {
        let long = [
            frame(HEADERS, 0, b"block"),
            frame(CONTINUATION, 0, &[0; 6000]),
        ]
        .concat();
        for (longest_head, passes) in [(4096, long.len()), (8192, 0)] {
            let mut frames = Frames::new(longest_head);
            frames.follow(&mut PREFACE.to_vec(), Instant::now);
            let passed = frames.follow(&mut long.clone(), Instant::now);
            assert_eq!(passed, passes, "heads of {longest_head} bytes");
        }
    }

    #[test]
    fn the_end_of_a_request_that_is_answered_early_is_told_to_its_reader_alone() {
        let bytes = [
            frame(DATA, 0, b"data"),
            frame(DATA, END_STREAM, b"short"),
            frame(DATA, END_STREAM, b"of another"),
        ]
        .concat();
        for piece in 1..bytes.len() {
            let mut frames = Frames::new(MOST_BYTES);
            frames.follow(&mut PREFACE.to_vec(), Instant::now);
            frames.answers_early(1, Some(&Arc::default()));
            let passed = passed(&mut frames, &bytes, piece);
            assert_eq!(passed.len(), bytes.len());
            assert_eq!(
                [passed[17], passed[31]],
                [0, END_STREAM],
                "in pieces of {piece}"
            );
        }
    }

    #[test]
    fn trailers_with_fields_of_a_head_are_made_malformed() {
        let head = frame(HEADERS, END_HEADERS, b"\x83\x84\x86");
        for (trailers, flags) in [
            (&b"\x00\x01x\x01v"[..], END_HEADERS | END_STREAM),
            (b"\x84", END_HEADERS),
        ] {
            let bytes = [
                &head[..],
                &frame(HEADERS, END_HEADERS | END_STREAM, trailers),
            ]
            .concat();
            for piece in 1..bytes.len() {
                let mut frames = Frames::new(MOST_BYTES);
                frames.follow(&mut PREFACE.to_vec(), Instant::now);
                let passed = passed(&mut frames, &bytes, piece);
                assert_eq!(passed[head.len() + FLAGS], flags, "in pieces of {piece}");
            }
        }
        // The head itself has its end.
        let ends = frame(HEADERS, END_HEADERS | END_STREAM, b"\x82\x84\x86");
        let mut frames = Frames::new(MOST_BYTES);
        frames.follow(&mut PREFACE.to_vec(), Instant::now);
        assert_eq!(passed(&mut frames, &ends, 5), ends);
    }

    #[test]
    fn half_a_body_is_no_head() {
        let bytes = [
            frame(HEADERS, END_HEADERS, b"block"),
            frame(DATA, 0, b"data"),
        ]
        .concat();
        let frames = followed(&bytes[..bytes.len() - 2], 4);
        assert_eq!(frames.head_since(), None);
    }
}
