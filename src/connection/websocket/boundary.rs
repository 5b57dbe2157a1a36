//! A `Boundary` follows the frames of one direction, as far as it takes to know where one ends: what is put between two
//! of them breaks none (RFC 6455 section 5.2).

/// The head of a frame has this many bytes at most: flags, the length in eight bytes, and the mask.
const LONGEST_HEAD: usize = 14;

/// This opcode closes, with a payload of this many bytes at most (RFC 6455 section 5.5).
const CLOSE: u8 = 0x8;
const LONGEST_CONTROL: u8 = 125;

#[derive(Clone, Copy, Default)]
pub struct Boundary {
    head: [u8; LONGEST_HEAD],
    /// So many bytes of a head have come that is not whole.
    known: usize,
    /// So many bytes are missing of the frame whose head was the last.
    missing: u64,
}

impl Boundary {
    /// Says whether a frame has just ended, or none has begun.
    pub fn is_between(&self) -> bool {
        self.known == 0 && self.missing == 0
    }

    /// Returns how many of these bytes there are up to the end of the first frame that ends in them; all of them where
    /// none does.
    pub fn next(mut self, bytes: &[u8]) -> usize {
        let mut passed = 0;
        while passed < bytes.len() {
            passed += self.step(&bytes[passed..]);
            if self.is_between() {
                break;
            }
        }
        passed
    }

    /// Follows these bytes.
    pub fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = &bytes[self.step(bytes)..];
        }
    }

    /// Says whether what comes next is payload of a close, and by what it is masked.
    pub fn close_mask(&self) -> Option<[u8; 4]> {
        let [first, second, mask @ ..] = self.head;
        let mask = [mask[0], mask[1], mask[2], mask[3]];
        let is_close = first & 0x0f == CLOSE && second > 0x80 && second <= 0x80 | LONGEST_CONTROL;
        (self.missing > 0 && is_close).then_some(mask)
    }

    /// Follows some of these bytes, which are not none, and says how many: one of a head, or what there is of a payload.
    pub fn step(&mut self, bytes: &[u8]) -> usize {
        if self.missing > 0 {
            let passed = self.missing.min(bytes.len() as u64);
            self.missing -= passed;
            return usize::try_from(passed).unwrap_or(bytes.len());
        }
        self.head[self.known] = bytes[0];
        self.known += 1;
        if let Some(payload) = self.payload() {
            self.known = 0;
            self.missing = payload;
        }
        1
    }

    /// Returns how long the payload is, once the head is whole.
    fn payload(&self) -> Option<u64> {
        let length = (self.known >= 2).then_some(self.head[1] & 0x7f)?;
        let extended = match length {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if self.head[1] & 0x80 == 0 { 0 } else { 4 };
        if self.known < 2 + extended + mask {
            return None;
        }
        let number = |bytes: &[u8]| {
            bytes
                .iter()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
        };
        Some(match extended {
            0 => u64::from(length),
            _ => number(&self.head[2..2 + extended]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(length: usize, is_masked: bool) -> Vec<u8> {
        let mask = if is_masked { 0x80 } else { 0 };
        let mut frame = vec![0x82];
        match length {
            0..126 => frame.push(mask | length as u8),
            126..0x1_0000 => {
                frame.push(mask | 126);
                frame.extend((length as u16).to_be_bytes());
            }
            _ => {
                frame.push(mask | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend(if is_masked { &[1, 2, 3, 4][..] } else { &[] });
        frame.extend(vec![0xff; length]);
        frame
    }

    #[test]
    fn the_end_of_each_frame_is_found_however_it_comes() {
        for is_masked in [false, true] {
            for length in [0, 1, 125, 126, 127, 65_535, 65_536, 70_000] {
                let first = frame(length, is_masked);
                let both = [&first[..], &frame(3, is_masked)].concat();
                assert_eq!(Boundary::default().next(&both), first.len());
                let splits = [1, 2, first.len() / 2, first.len() - 1];
                for split in splits.into_iter().filter(|split| *split < first.len()) {
                    let mut boundary = Boundary::default();
                    boundary.pass(&both[..split]);
                    assert!(!boundary.is_between(), "{length} {split}");
                    assert_eq!(boundary.next(&both[split..]), first.len() - split);
                    boundary.pass(&both[split..first.len()]);
                    assert!(boundary.is_between());
                }
                let mut boundary = Boundary::default();
                boundary.pass(&both);
                assert!(boundary.is_between());
                assert_eq!(Boundary::default().next(&first[..1]), 1);
            }
        }
    }
}
