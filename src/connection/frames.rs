//! Follows the frames that an HTTP/2 client sends (RFC 9113 section 4.1): which cost work and bring nothing, and since
//! when the head of a request is unfinished. Looks into none of them but for targets.

use super::stream::PREFACE;
use super::targets::Targets;
use crate::request::Reading;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

const HEADER: usize = 9;
/// Where in it the flags are.
const FLAGS: usize = 4;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

pub struct Frames {
    state: State,
    /// Frames that brought nothing.
    idle: u64,
    /// Since when a head is unfinished, or what may be one.
    head: Option<Instant>,
    /// A head has begun that further frames are to end.
    continues: bool,
    /// Streams that are answered before all of their request has come.
    early: HashMap<u32, Arc<Reading>>,
    pub targets: Targets,
}

enum State {
    /// So many bytes of the preface have come.
    Preface(usize),
    Header([u8; HEADER], usize),
    /// So much of a frame is still to come.
    Payload {
        left: usize,
        kind: u8,
    },
}

impl Frames {
    pub fn new() -> Frames {
        Frames {
            state: State::Preface(0),
            idle: 0,
            head: None,
            continues: false,
            early: HashMap::new(),
            targets: Targets::default(),
        }
    }

    pub fn idle(&self) -> u64 {
        self.idle
    }

    /// Since when a head is unfinished.
    pub fn head_since(&self) -> Option<Instant> {
        self.head
    }

    /// This stream has an answer that goes on while its request comes; without `reading` that is over.
    pub fn answers_early(&mut self, stream: u32, reading: Option<&Arc<Reading>>) {
        match reading {
            Some(reading) => self.early.insert(stream, reading.clone()),
            None => self.early.remove(&stream),
        };
    }

    /// Takes note of the bytes that came next. Where a request that is answered early ends, its reader is told, and
    /// nobody else: short of the length that it announced, its stream would be reset, and the answer with it.
    pub fn follow(&mut self, mut bytes: &mut [u8], now: impl Fn() -> Instant) {
        while !bytes.is_empty() {
            let taken = match &mut self.state {
                State::Preface(known) => {
                    let taken = bytes.len().min(PREFACE.len() - *known);
                    *known += taken;
                    if *known == PREFACE.len() {
                        self.state = State::Header([0; HEADER], 0);
                    }
                    taken
                }
                State::Header(header, known) => {
                    let before = *known;
                    let taken = bytes.len().min(HEADER - before);
                    header[before..before + taken].copy_from_slice(&bytes[..taken]);
                    *known += taken;
                    if *known == HEADER {
                        let header = *header;
                        // Flags that came before the rest of the header have gone on.
                        if let Some(flags) = FLAGS.checked_sub(before)
                            && self.ends_early(&header)
                        {
                            bytes[flags] &= !END_STREAM;
                        }
                        self.begin(&header);
                        if let ([high, middle, low, HEADERS, flags, ..], came) =
                            (header, &mut bytes[taken..])
                        {
                            let length = u32::from_be_bytes([0, high, middle, low]) as usize;
                            self.targets.examine(length, flags, came);
                        }
                    }
                    taken
                }
                State::Payload { left, kind } => {
                    let taken = bytes.len().min(*left);
                    *left -= taken;
                    if *kind == HEADERS {
                        self.targets.follow(&bytes[..taken]);
                    }
                    taken
                }
            };
            bytes = &mut bytes[taken..];
            if let State::Payload { left: 0, .. } = self.state {
                self.state = State::Header([0; HEADER], 0);
            }
        }
        match self.is_in_head() {
            true => self.head = Some(self.head.unwrap_or_else(now)),
            false => self.head = None,
        }
    }

    fn begin(&mut self, header: &[u8; HEADER]) {
        let [high, middle, low, kind, flags, ..] = *header;
        let left = u32::from_be_bytes([0, high, middle, low]) as usize;
        match kind {
            HEADERS | CONTINUATION => self.continues = flags & END_HEADERS == 0,
            DATA if left > 0 || flags & END_STREAM != 0 => {}
            _ => self.idle += 1,
        }
        self.state = State::Payload { left, kind };
    }

    /// Whether this ends a request that is answered early: its reader is told.
    fn ends_early(&mut self, header: &[u8; HEADER]) -> bool {
        let [_, _, _, kind, flags, high, stream @ ..] = *header;
        if kind != DATA || flags & END_STREAM == 0 {
            return false;
        }
        let [upper, middle, low] = stream;
        let stream = u32::from_be_bytes([high & 0x7f, upper, middle, low]);
        let reading = self.early.remove(&stream);
        reading.is_some_and(|reading| {
            reading.leave();
            true
        })
    }

    fn is_in_head(&self) -> bool {
        match self.state {
            State::Preface(_) => true,
            State::Header(_, known) => self.continues || known > 0,
            // A body may take its time; how fast it comes is looked at elsewhere.
            State::Payload { kind, .. } => self.continues || kind != DATA,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
        [&head[..], payload].concat()
    }

    /// What becomes of these bytes in pieces of this size.
    fn followed(bytes: &[u8], piece: usize) -> Frames {
        let mut frames = Frames::new();
        for piece in [PREFACE, bytes].concat().chunks_mut(piece) {
            frames.follow(piece, Instant::now);
        }
        frames
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
        let mut frames = Frames::new();
        frames.follow(&mut PREFACE.to_vec(), || start);
        assert_eq!(frames.head_since(), None);
        for (second, byte) in frame(HEADERS, 0, b"block").iter().enumerate() {
            let now = start + std::time::Duration::from_secs(second as u64);
            frames.follow(&mut [*byte], || now);
            assert_eq!(frames.head_since(), Some(start));
        }
    }

    #[test]
    fn the_end_of_a_request_that_is_answered_early_is_told_to_its_reader_alone() {
        for piece in HEADER..40 {
            let mut frames = Frames::new();
            frames.follow(&mut PREFACE.to_vec(), Instant::now);
            frames.answers_early(1, Some(&Arc::default()));
            let mut bytes = [
                frame(DATA, 0, b"data"),
                frame(DATA, END_STREAM, b"short"),
                frame(DATA, END_STREAM, b"of another"),
            ]
            .concat();
            let (first, rest) = bytes.split_at_mut(13);
            frames.follow(first, Instant::now);
            for piece in rest.chunks_mut(piece) {
                frames.follow(piece, Instant::now);
            }
            assert_eq!([bytes[17], bytes[31]], [0, END_STREAM], "pieces of {piece}");
        }
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
