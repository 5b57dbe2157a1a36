//! This file finds the field blocks that an HTTP/2 client sends (RFC 9113 section 4.3): a HEADERS frame and the
//! CONTINUATION frames that follow it.

use super::frames::{CONTINUATION, END_HEADERS, HEADER, HEADERS, Header};
use super::targets::{Examined, Targets};
use std::ops::Range;

const PADDED: u8 = 8;
const PRIORITY: u8 = 32;

/// No longer block is waited for than a few frames of the longest that are allowed (RFC 9113 section 4.2); whoever
/// reads the frames allows fewer.
const MOST_FRAMES: usize = 16;
pub const MOST_BYTES: usize = 96 << 10;
const LONGEST_FRAME: usize = 16 << 10;

/// `FieldBlock` says what is known of a block from the bytes that begin with its first frame.
#[derive(Debug, PartialEq, Eq)]
pub enum FieldBlock {
    /// All of the block is here, in one piece.
    One(Range<usize>),
    /// All of the block is here, in the payloads of several frames.
    Several(Vec<Range<usize>>),
    /// More of the block is to come.
    Unfinished,
    /// The block breaks the rules, or is larger than what is waited for.
    Unfollowed,
}

impl FieldBlock {
    /// Looks for the block in what has come of it, as far as this many bytes.
    pub fn find(bytes: &[u8], most: usize) -> FieldBlock {
        let (mut at, mut pieces) = (0, Vec::new());
        loop {
            let Some(header) = bytes.get(at..).and_then(|rest| rest.first_chunk()) else {
                return FieldBlock::Unfinished;
            };
            let header = Header::read(header);
            let expected = if at == 0 { HEADERS } else { CONTINUATION };
            let payload = at + HEADER..at + HEADER + header.length;
            let is_allowed = header.kind == expected
                && header.length <= LONGEST_FRAME
                && payload.end <= most
                && pieces.len() < MOST_FRAMES;
            if !is_allowed {
                return FieldBlock::Unfollowed;
            }
            let Some(bytes) = bytes.get(payload.clone()) else {
                return FieldBlock::Unfinished;
            };
            let piece = match header.kind {
                HEADERS => unpadded(header.flags, bytes),
                _ => Some(0..bytes.len()),
            };
            // Where its padding is too long, whoever reads it says so.
            let Some(piece) = piece else {
                return FieldBlock::Unfollowed;
            };
            let piece = payload.start + piece.start..payload.start + piece.end;
            let ends = header.flags & END_HEADERS != 0;
            if ends && at == 0 {
                return FieldBlock::One(piece);
            }
            pieces.push(piece);
            if ends {
                return FieldBlock::Several(pieces);
            }
            at = payload.end;
        }
    }

    /// Has in the block replaced what is to be replaced, and says what was found, as far as that is known; none where more of it
    /// is to come.
    pub fn examine(self, bytes: &mut [u8], targets: &mut Targets) -> Option<Examined> {
        Some(match self {
            FieldBlock::One(piece) => targets.examine(&mut bytes[piece]),
            FieldBlock::Several(pieces) => {
                let all = pieces.iter().map(|piece| &bytes[piece.clone()]);
                let mut block = all.collect::<Vec<_>>().concat();
                let examined = targets.examine(&mut block);
                let mut from = &block[..];
                for piece in pieces {
                    let changed = from.split_off(..piece.len()).unwrap_or_default();
                    bytes[piece].copy_from_slice(changed);
                }
                examined
            }
            FieldBlock::Unfinished => return None,
            FieldBlock::Unfollowed => {
                targets.overlook();
                Examined::default()
            }
        })
    }
}

/// Finds where in the payload of a HEADERS frame (RFC 9113 section 6.2) the block is.
fn unpadded(flags: u8, payload: &[u8]) -> Option<Range<usize>> {
    let (mut from, mut to) = (0, payload.len());
    if flags & PADDED != 0 {
        to = to.checked_sub(usize::from(*payload.first()?))?;
        from += 1;
    }
    if flags & PRIORITY != 0 {
        from += 5;
    }
    (from <= to).then_some(from..to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::frames::tests::frame;

    #[test]
    fn a_block_is_found_whole_or_waited_for() {
        let one = frame(HEADERS, END_HEADERS, b"block");
        assert_eq!(FieldBlock::find(&one, MOST_BYTES), FieldBlock::One(9..14));
        let several = [
            frame(HEADERS, PADDED | PRIORITY, b"\x02.....block.."),
            frame(CONTINUATION, 0, b""),
            frame(CONTINUATION, END_HEADERS, b"more"),
        ]
        .concat();
        let pieces = vec![15..20, 31..31, 40..44];
        assert_eq!(
            FieldBlock::find(&several, MOST_BYTES),
            FieldBlock::Several(pieces)
        );
        for block in [one, several] {
            for length in 0..block.len() {
                assert_eq!(
                    FieldBlock::find(&block[..length], MOST_BYTES),
                    FieldBlock::Unfinished
                );
            }
        }
    }

    #[test]
    fn what_breaks_the_rules_or_does_not_end_is_not_waited_for() {
        const DATA: u8 = 0;
        let begun = frame(HEADERS, 0, b"block");
        let padded = frame(HEADERS, END_HEADERS | PADDED, b"\x05four");
        let foreign = [begun.clone(), frame(DATA, 0, b"")].concat();
        let long = frame(HEADERS, END_HEADERS, &[0; LONGEST_FRAME + 1]);
        let endless = [begun, frame(CONTINUATION, 0, b"a").repeat(MOST_FRAMES)].concat();
        let full = [
            frame(HEADERS, 0, b""),
            frame(CONTINUATION, 0, &[0; LONGEST_FRAME]).repeat(MOST_BYTES / LONGEST_FRAME),
        ]
        .concat();
        for block in [padded, foreign, long[..HEADER].to_vec(), endless, full] {
            assert_eq!(FieldBlock::find(&block, MOST_BYTES), FieldBlock::Unfollowed);
        }
    }

    #[test]
    fn a_target_is_replaced_wherever_the_block_is_divided() {
        let path = b"/caf\xe9";
        let block = [&b"\x82\x44\x05"[..], path, b"\x86"].concat();
        for at in 0..=block.len() {
            let mut bytes = [
                frame(HEADERS, 0, &block[..at]),
                frame(CONTINUATION, END_HEADERS, &block[at..]),
            ]
            .concat();
            let mut targets = Targets::default();
            let found = FieldBlock::find(&bytes, MOST_BYTES);
            let examined = found.examine(&mut bytes, &mut targets).unwrap();
            assert!(examined.has_pseudo && !examined.is_malformed);
            let seen = [&bytes[HEADER..HEADER + at], &bytes[2 * HEADER + at..]].concat();
            let mut seen = std::str::from_utf8(&seen[3..8]).unwrap().parse().unwrap();
            assert!(targets.restore(&mut seen), "divided at {at}");
            assert_eq!(seen, "/caf%E9");
        }
    }
}
