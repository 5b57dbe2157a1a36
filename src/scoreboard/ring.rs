//! A `Ring` holds records: one worker writes it, and the exporter alone reads it. The writer waits for nobody; a
//! record that has no room is left out. The reader believes nothing of what it finds.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// The ring has this many words of eight bytes: room for some hundred records. Pages that nothing was written to take
/// no memory.
const WORDS: usize = 32 << 10;

/// A record has no more bytes than this.
pub const LONGEST: usize = 8 << 10;

#[derive(Debug)]
#[repr(C)]
pub struct Ring {
    /// This many words were ever written, by all workers that had this slot.
    written: AtomicU64,
    words: [AtomicU64; WORDS],
}

/// `RecordRead` is what a reader finds, with the place where it reads on.
#[derive(Debug, PartialEq, Eq)]
pub enum RecordRead {
    Nothing,
    Record(u64),
    /// No writer of ours would have written this. All of it is passed over.
    Garbage(u64),
}

impl Ring {
    /// Writes a record into a ring of which this many words were read, and says whether it had room.
    pub(super) fn write(&self, read: u64, record: &[u8]) -> bool {
        let written = self.written.load(Relaxed);
        let (used, needed) = (written.wrapping_sub(read), words(record.len()));
        if record.len() > LONGEST || used.saturating_add(needed) > WORDS as u64 {
            return false;
        }
        self.word(written).store(record.len() as u64, Relaxed);
        let places = (1..).map(|index| self.word(written.wrapping_add(index)));
        for (word, piece) in places.zip(record.chunks(8)) {
            let mut bytes = [0; 8];
            bytes[..piece.len()].copy_from_slice(piece);
            word.store(u64::from_ne_bytes(bytes), Relaxed);
        }
        self.written.store(written.wrapping_add(needed), Release);
        true
    }

    /// Reads the record behind this many words into `record`.
    pub(super) fn read(&self, read: u64, record: &mut Vec<u8>) -> RecordRead {
        record.clear();
        let written = self.written.load(Acquire);
        let there = written.wrapping_sub(read);
        if there == 0 {
            return RecordRead::Nothing;
        }
        let length = self.word(read).load(Relaxed);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if there > WORDS as u64 || length > LONGEST || words(length) > there {
            return RecordRead::Garbage(written);
        }
        let end = read.wrapping_add(words(length));
        for index in 1..words(length) {
            let word = self.word(read.wrapping_add(index)).load(Relaxed);
            record.extend(word.to_ne_bytes());
        }
        record.truncate(length);
        RecordRead::Record(end)
    }

    /// Returns the word that a count of words leads to. In the exporter's own ring, which nobody writes records to,
    /// the words say how much it has read of each worker's.
    pub(super) fn word(&self, count: u64) -> &AtomicU64 {
        &self.words[(count % WORDS as u64) as usize]
    }
}

/// Computes the words that a record takes, its length included.
fn words(length: usize) -> u64 {
    1 + length.div_ceil(8) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoreboard::Scoreboard;

    fn ring(scoreboard: &Scoreboard) -> &Ring {
        scoreboard.slot(0).ring()
    }

    fn read(ring: &Ring, from: &mut u64) -> Option<Vec<u8>> {
        let mut record = Vec::new();
        match ring.read(*from, &mut record) {
            RecordRead::Nothing => None,
            RecordRead::Record(next) => {
                *from = next;
                Some(record)
            }
            RecordRead::Garbage(_) => panic!("garbage"),
        }
    }

    #[test]
    fn records_of_any_length_come_out_as_they_went_in_round_after_round() {
        let scoreboard = Scoreboard::new(1).unwrap();
        let (ring, mut from) = (ring(&scoreboard), 0);
        for round in 0..2000_usize {
            let records = [round % 8192, 0, 1, 7, 8, 9].map(|length| vec![round as u8; length]);
            for record in &records {
                assert!(ring.write(from, record));
            }
            for record in records {
                assert_eq!(read(ring, &mut from), Some(record));
            }
            assert_eq!(read(ring, &mut from), None);
        }
    }

    #[test]
    fn a_full_ring_takes_no_more_until_something_was_read() {
        let scoreboard = Scoreboard::new(1).unwrap();
        let (ring, mut from) = (ring(&scoreboard), 0);
        let taken = (0..10_000)
            .take_while(|_| ring.write(0, &[1; 1000]))
            .count();
        assert_eq!(taken, WORDS / 126);
        assert!(read(ring, &mut from).is_some());
        assert!(ring.write(from, &[2; 1000]));
        assert!(!ring.write(from, &[2; 1000]));
        assert!(!ring.write(from, &vec![0; LONGEST + 1]));
    }

    /// A worker that was taken over may write anything.
    #[test]
    fn garbage_is_passed_over() {
        let scoreboard = Scoreboard::new(1).unwrap();
        let ring = ring(&scoreboard);
        let mut record = Vec::new();
        for (written, length) in [
            (1, 8),
            (1, u64::MAX),
            (WORDS as u64 + 1, 8),
            (u64::MAX, 8),
            (5, LONGEST as u64 + 1),
        ] {
            ring.written.store(written, Relaxed);
            ring.word(0).store(length, Relaxed);
            assert_eq!(ring.read(0, &mut record), RecordRead::Garbage(written));
            assert!(record.is_empty());
            // The next worker in this slot goes on from there.
            assert!(ring.write(written, b"next"));
            assert!(matches!(
                ring.read(written, &mut record),
                RecordRead::Record(_)
            ));
            assert_eq!(record, b"next");
        }
    }
}
