//! A process keeps its last lines for `wasmserve logs`, in a ring in shared memory where the newest overwrite the
//! oldest. Whoever writes waits for nobody, and whoever reads believes nothing of what it finds: a line that is being
//! overwritten is left out.

use super::Level;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU64, fence};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// A line takes whole cells, of which a ring has this many.
const CELLS: u64 = 512;

/// A cell has this many words of eight bytes beside its head.
const WORDS: usize = 15;

const ROOM: usize = WORDS * 8;

/// This many bytes of a line are kept.
const LONGEST: usize = 8 << 10;

/// This many bytes stand before the text of a line: the time, whether it is a request's, and the level.
const HEAD: usize = 10;

/// A cell that is not complete is waited for this many times, and then taken to be its writer's who was killed.
const MOST_MISSED: u32 = 3;

const LEVELS: [Level; 6] = [
    Level::Critical,
    Level::Error,
    Level::Warning,
    Level::Info,
    Level::Debug,
    Level::Trace,
];

/// `Recent` is the ring of one process.
#[derive(Debug)]
#[repr(C, align(128))]
pub struct Recent {
    /// This many cells were ever given to a line, by all processes that had this ring.
    claimed: AtomicU64,
    cells: [Cell; CELLS as usize],
}

/// A `Cell` has a part of a line. The head says which part of which line; it is 0 while the words change.
#[derive(Debug)]
#[repr(C, align(128))]
struct Cell {
    head: AtomicU64,
    words: [AtomicU64; WORDS],
}

const FIRST: u64 = 1 << 8;
const LAST: u64 = 1 << 9;

fn head_of(index: u64) -> u64 {
    index.wrapping_add(1) << 16
}

impl Cell {
    fn write(&self, head: u64, bytes: &[u8]) {
        self.head.store(0, Relaxed);
        fence(Release);
        for (word, piece) in self.words.iter().zip(bytes.chunks(8)) {
            let mut eight = [0; 8];
            eight[..piece.len()].copy_from_slice(piece);
            word.store(u64::from_ne_bytes(eight), Relaxed);
        }
        self.head.store(head | bytes.len() as u64, Release);
    }

    /// Adds the bytes of the cell, and returns its head; `None` where the cell has another index, or none.
    fn read(&self, index: u64, into: &mut Vec<u8>) -> Option<u64> {
        let (head, before) = (self.head.load(Acquire), into.len());
        let length = (head & 0xff) as usize;
        if head >> 16 != head_of(index) >> 16 || length > ROOM {
            return None;
        }
        for word in &self.words[..length.div_ceil(8)] {
            into.extend(word.load(Relaxed).to_ne_bytes());
        }
        into.truncate(before + length);
        fence(Acquire);
        let same = self.head.load(Relaxed) == head;
        if !same {
            into.truncate(before);
        }
        same.then_some(head)
    }
}

impl Recent {
    fn cell(&self, index: u64) -> &Cell {
        &self.cells[(index % CELLS) as usize]
    }

    fn write(&self, line: &RecentLine) {
        let mut bytes = Vec::with_capacity(HEAD + line.text.len());
        bytes.extend(line.time_us.to_ne_bytes());
        bytes.extend([u8::from(line.is_access), line.level as u8]);
        bytes.extend(line.text.as_bytes());
        let pieces = bytes.chunks(ROOM);
        let count = pieces.len() as u64;
        let first = self.claimed.fetch_add(count, AcqRel);
        for (place, piece) in (0..).zip(pieces) {
            let index = first.wrapping_add(place);
            let begins = if place == 0 { FIRST } else { 0 };
            let ends = if place + 1 == count { LAST } else { 0 };
            self.cell(index)
                .write(head_of(index) | begins | ends, piece);
        }
    }
}

/// A `RecentLine` is one line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentLine {
    /// The line was written at this time, in microseconds since 1970.
    pub time_us: u64,
    /// The line tells of a request, in the access log.
    pub is_access: bool,
    pub level: Level,
    pub text: String,
}

impl RecentLine {
    fn understood(bytes: &[u8]) -> Option<RecentLine> {
        let (time, rest) = bytes.split_first_chunk()?;
        let ([is_access, level], text) = rest.split_first_chunk()?;
        Some(RecentLine {
            time_us: u64::from_ne_bytes(*time),
            is_access: *is_access != 0,
            level: *LEVELS.get(usize::from(*level))?,
            text: String::from_utf8_lossy(text).into_owned(),
        })
    }
}

/// A `RecentReader` knows how far it has read a ring.
#[derive(Clone, Debug, Default)]
pub struct RecentReader {
    next: u64,
    /// This is the beginning of a line, where its first cell was there.
    begun: Option<Vec<u8>>,
    missed: u32,
}

impl RecentReader {
    /// Adds the lines that are new. Where it `waits`, lines that are being written are taken the next time.
    pub fn read(&mut self, ring: &Recent, waits: bool, lines: &mut Vec<RecentLine>) {
        let claimed = ring.claimed.load(Acquire);
        if claimed.wrapping_sub(self.next) > CELLS {
            self.next = claimed.wrapping_sub(CELLS);
            self.begun = None;
        }
        while self.next != claimed {
            let mut bytes = Vec::new();
            match ring.cell(self.next).read(self.next, &mut bytes) {
                Some(head) => {
                    self.missed = 0;
                    self.take(head, &bytes, lines);
                }
                None if waits && self.missed < MOST_MISSED => {
                    self.missed += 1;
                    return;
                }
                // The other cells of a line that was never completed are not waited for again.
                None => self.begun = None,
            }
            self.next = self.next.wrapping_add(1);
        }
    }

    fn take(&mut self, head: u64, bytes: &[u8], lines: &mut Vec<RecentLine>) {
        if head & FIRST != 0 {
            self.begun = Some(Vec::new());
        }
        let Some(begun) = &mut self.begun else { return };
        begun.extend(bytes);
        if begun.len() > LONGEST + ROOM {
            self.begun = None;
        } else if head & LAST != 0 {
            lines.extend(RecentLine::understood(begun));
            self.begun = None;
        }
    }
}

/// A `LineStore` is where this process keeps its lines.
enum LineStore {
    /// The process has no ring yet; the first lines go into it when it has one.
    Early(Vec<RecentLine>),
    Ring(&'static Recent),
    Nowhere,
}

/// This many lines are kept for a ring that there is not yet.
const EARLY: usize = 64;

static OWN: Mutex<LineStore> = Mutex::new(LineStore::Early(Vec::new()));

fn own() -> MutexGuard<'static, LineStore> {
    OWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps what this process logs in this ring from here on, and what it has logged before it had one.
pub fn keep_in(ring: &'static Recent) {
    let before = std::mem::replace(&mut *own(), LineStore::Ring(ring));
    if let LineStore::Early(lines) = before {
        lines.iter().for_each(|line| ring.write(line));
    }
}

/// Keeps nothing of what this process logs from here on.
pub fn keep_nothing() {
    *own() = LineStore::Nowhere;
}

/// Keeps a line that this process writes.
pub(super) fn keep(is_access: bool, level: Level, text: &str) {
    let mut own = own();
    if matches!(*own, LineStore::Nowhere) {
        return;
    }
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let mut text = text.strip_suffix('\n').unwrap_or(text);
    text = &text[..text.floor_char_boundary(LONGEST)];
    let line = RecentLine {
        time_us: since.map_or(0, |time| time.as_micros() as u64),
        is_access,
        level,
        text: text.to_owned(),
    };
    match &mut *own {
        LineStore::Ring(ring) => ring.write(&line),
        LineStore::Early(lines) if lines.len() < EARLY => lines.push(line),
        LineStore::Early(_) | LineStore::Nowhere => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoreboard::Scoreboard;

    fn line(number: u64, text: &str) -> RecentLine {
        RecentLine {
            time_us: number,
            is_access: number.is_multiple_of(2),
            level: LEVELS[number as usize % LEVELS.len()],
            text: text.to_owned(),
        }
    }

    fn read(reader: &mut RecentReader, ring: &Recent) -> Vec<RecentLine> {
        let mut lines = Vec::new();
        reader.read(ring, true, &mut lines);
        lines
    }

    #[test]
    fn lines_of_any_length_come_out_as_they_went_in_round_after_round() {
        let scoreboard = Scoreboard::new(1).unwrap();
        let (ring, mut reader) = (scoreboard.recent(0), RecentReader::default());
        for round in 0..3000_u64 {
            let text = "\u{e4}x".repeat(round as usize % 2700);
            ring.write(&line(round, &text));
            ring.write(&line(round + 1, ""));
            assert_eq!(
                read(&mut reader, ring),
                [line(round, &text), line(round + 1, "")]
            );
            assert_eq!(read(&mut reader, ring), []);
        }
    }

    #[test]
    fn a_reader_that_is_behind_has_the_newest_lines_and_none_in_part() {
        let scoreboard = Scoreboard::new(1).unwrap();
        let (ring, mut reader) = (scoreboard.recent(0), RecentReader::default());
        let text = "0123456789".repeat(50);
        (0..10_000).for_each(|number| ring.write(&line(number, &text)));
        let lines = read(&mut reader, ring);
        assert!(lines.len() > 80, "{}", lines.len());
        let first = 10_000 - lines.len() as u64;
        for (number, found) in (first..).zip(lines) {
            assert_eq!(found, line(number, &text));
        }
    }

    /// A worker that was taken over may write anything, and one that is killed leaves a line half written.
    #[test]
    fn garbage_and_holes_are_passed_over() {
        let scoreboard = Scoreboard::new(1).unwrap();
        let (ring, mut reader) = (scoreboard.recent(0), RecentReader::default());
        ring.write(&line(1, "one"));
        ring.claimed.fetch_add(3, AcqRel);
        ring.write(&line(2, "two"));
        assert_eq!(read(&mut reader, ring), [line(1, "one")]);
        let found: Vec<RecentLine> = (0..20).flat_map(|_| read(&mut reader, ring)).collect();
        assert_eq!(found, [line(2, "two")]);
        for claimed in [0, 7, u64::MAX, 1 << 50] {
            ring.claimed.store(claimed, Release);
            for index in 0..CELLS {
                let index = claimed.wrapping_sub(index);
                let head = head_of(index) | FIRST | (index % 256);
                ring.cell(index).head.store(head, Release);
            }
            (0..2000).for_each(|_| drop(read(&mut reader, ring)));
            ring.write(&line(3, "three"));
            let found: Vec<RecentLine> = (0..20).flat_map(|_| read(&mut reader, ring)).collect();
            assert_eq!(found, [line(3, "three")]);
        }
    }

    #[test]
    fn whoever_reads_while_lines_are_written_sees_whole_lines() {
        let scoreboard = Scoreboard::new(1).unwrap();
        let ring = scoreboard.recent(0);
        let text = |number: u64| format!("{number}-").repeat(1 + number as usize % 90);
        std::thread::scope(|scope| {
            scope.spawn(|| (0..20_000).for_each(|number| ring.write(&line(number, &text(number)))));
            let (mut reader, mut seen) = (RecentReader::default(), 0);
            while seen < 19_999 {
                for found in read(&mut reader, ring) {
                    assert_eq!(found, line(found.time_us, &text(found.time_us)));
                    seen = found.time_us;
                }
            }
        });
    }
}
