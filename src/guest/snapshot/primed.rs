//! A primed snapshot is kept in a file in memory, without code: what the memories of an instance hold after its
//! application was started, and the globals that have changed since the instance was made. It may hold secrets, and
//! never reaches a disk.

use super::file::{MOST, Snapshot};
use super::standing::{self, StandingHandle, StandingResource};
use crate::sys::memory::page_size;
use crate::sys::region::Image;
use anyhow::{Context, Result, ensure};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;

/// A file with a primed snapshot ends with these bytes.
const MARK: [u8; 8] = *b"wsprime3";

/// The note at the end has this many bytes however much there is: how many memories, how many globals, how many streams
/// are open, how many bytes the start has, the mark.
const NOTE: usize = 8 + 8 + 8 + 8 + MARK.len();

/// No component has more globals.
const MOST_GLOBALS: u64 = 1 << 20;

/// No more than this is kept of what the application was given when it started.
pub const LONGEST_START: usize = 32 << 20;

/// The note with all before it that is not memory has this many bytes at most.
pub const LONGEST_NOTE: u64 =
    NOTE as u64 + 16 * (MOST as u64 + MOST_GLOBALS + standing::MOST as u64) + LONGEST_START as u64;

const WASM_PAGE: u64 = 64 << 10;

/// A global with this number has this value (`instrument`).
pub type Global = (u32, u64);

/// A `Primed` snapshot is as it was read.
pub struct Primed {
    pub snapshot: Snapshot,
    pub globals: Vec<Global>,
    pub open: Vec<StandingHandle>,
    /// Recordings say by this how the application started; empty where nothing is recorded.
    pub start: Vec<u8>,
}

/// A `Rest` is what a snapshot has beside memories and globals.
#[derive(Clone, Copy)]
pub struct Rest<'a> {
    /// These streams are open.
    pub open: &'a [StandingHandle],
    pub start: &'a [u8],
}

/// Writes a snapshot of memories with these contents, of globals, and of the rest, into an empty file.
pub fn write(
    memories: &[&[u8]],
    globals: &[Global],
    rest: Rest<'_>,
    file: &mut File,
) -> Result<()> {
    let Rest { open, start } = rest;
    let start = if start.len() > LONGEST_START {
        &start[..0]
    } else {
        start
    };
    let mut entries = Vec::new();
    for bytes in memories {
        let used = bytes.iter().rposition(|byte| *byte != 0);
        let used = used.map_or(0, |last| last + 1);
        let used = used.next_multiple_of(page_size());
        file.write_all(&bytes[..used])
            .context("cannot keep the snapshot in memory")?;
        entries.extend([bytes.len() as u64, used as u64]);
    }
    file.write_all(start)?;
    let globals_of = globals.iter();
    entries.extend(globals_of.flat_map(|(number, value)| [u64::from(*number), *value]));
    for StandingHandle { resource, handle } in open {
        entries.extend([resource.number(), u64::from(*handle)]);
    }
    let counts = [memories.len(), globals.len(), open.len(), start.len()];
    entries.extend(counts.map(|count| count as u64));
    let note = entries.iter().flat_map(|number| number.to_le_bytes());
    file.write_all(&note.chain(MARK).collect::<Vec<u8>>())?;
    Ok(())
}

/// Maps the snapshot in a file that nobody can change any more. Who wrote it ran a guest: nothing in it is believed.
pub fn open(file: &OwnedFd) -> Result<Primed> {
    const DAMAGED: &str = "the primed snapshot is damaged";
    let reader = File::from(file.try_clone()?);
    let length = reader.metadata()?.len();
    let end = length.checked_sub(NOTE as u64).context(DAMAGED)?;
    let mut note = [0; NOTE];
    reader.read_exact_at(&mut note, end)?;
    ensure!(note[32..] == MARK, DAMAGED);
    let (count, _) = note.as_chunks::<8>();
    let [memories, globals, open, start] =
        [count[0], count[1], count[2], count[3]].map(u64::from_le_bytes);
    ensure!(memories <= MOST as u64 && globals <= MOST_GLOBALS, DAMAGED);
    ensure!(open <= standing::MOST as u64, DAMAGED);
    let count = memories + globals + open;
    let at = end.checked_sub(16 * count).context(DAMAGED)?;
    let mut entries = vec![0; 16 * usize::try_from(count)?];
    reader.read_exact_at(&mut entries, at)?;
    ensure!(start <= LONGEST_START as u64, DAMAGED);
    let before = at.checked_sub(start).context(DAMAGED)?;
    let mut start = vec![0; usize::try_from(start)?];
    reader.read_exact_at(&mut start, before)?;
    let (numbers, _) = entries.as_chunks::<8>();
    let numbers: Vec<u64> = numbers
        .iter()
        .map(|bytes| u64::from_le_bytes(*bytes))
        .collect();
    let (pairs, _) = numbers.as_chunks::<2>();
    let (of_memories, others) = pairs.split_at(usize::try_from(memories)?);
    let (of_globals, of_standing) = others.split_at(usize::try_from(globals)?);
    let mut offset = 0;
    let mut images = Vec::new();
    for [size, length] in of_memories {
        ensure!(length <= size && size.is_multiple_of(WASM_PAGE), DAMAGED);
        let image = Image::open(file.as_fd(), offset, usize::try_from(*length)?)?;
        images.push((usize::try_from(*size)?, image));
        offset = offset.checked_add(*length).context(DAMAGED)?;
    }
    let globals = of_globals.iter();
    let globals = globals.map(|[number, value]| Ok((u32::try_from(*number)?, *value)));
    let open = of_standing.iter().map(|[resource, handle]| {
        let resource = StandingResource::of(*resource).context(DAMAGED)?;
        let handle = u32::try_from(*handle)?;
        Ok(StandingHandle { resource, handle })
    });
    let open = open.collect::<Result<Vec<_>>>()?;
    ensure!(standing::objection(&open).is_none(), DAMAGED);
    Ok(Primed {
        snapshot: Snapshot::of(images),
        globals: globals.collect::<Result<_>>()?,
        open,
        start,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::memory::{empty_file, sealed_file};
    use std::io::{Read, Seek};

    const OPEN: [StandingHandle; 1] = [StandingHandle {
        resource: StandingResource::Error,
        handle: 4,
    }];

    fn written() -> Vec<u8> {
        let mut file = empty_file("test").unwrap();
        let memory = [vec![7; 3], vec![0; 65533]].concat();
        let memories: [&[u8]; 2] = [&memory, &[0; 65536]];
        let rest = Rest {
            open: &OPEN,
            start: b"begun",
        };
        write(&memories, &[(3, u64::MAX), (9, 1)], rest, &mut file).unwrap();
        file.rewind().unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_primed_snapshot_is_read_as_it_was_written() {
        let file = sealed_file("test", &written()).unwrap();
        let read = open(&file.into()).unwrap();
        let sizes: Vec<usize> = read.snapshot.memories().map(|(size, _)| size).collect();
        assert_eq!(sizes, [65536, 65536]);
        assert_eq!(read.globals, [(3, u64::MAX), (9, 1)]);
        assert_eq!(read.open, OPEN);
        assert_eq!(read.start, b"begun");
    }

    #[test]
    fn what_a_note_says_that_cannot_be_is_refused() {
        let most = u64::MAX - 0xffff;
        for memories in [
            vec![(65537, 0)],
            vec![(65536, 65537)],
            vec![(65536, 4096), (65536, 4096)],
            vec![(most, most)],
            vec![(65536, 4096), (most, most - 4096)],
            vec![(65536, 4096), (most, most - 4095)],
        ] {
            let mut entries: Vec<u64> = Vec::new();
            entries.extend(memories.iter().flat_map(|(size, length)| [*size, *length]));
            entries.extend([memories.len() as u64, 0, 0, 0]);
            let note = entries.iter().flat_map(|number| number.to_le_bytes());
            let bytes: Vec<u8> = [0; 4096].into_iter().chain(note).chain(MARK).collect();
            let file = sealed_file("test", &bytes).unwrap();
            assert!(open(&file.into()).is_err(), "{memories:?}");
        }
    }

    /// The process that writes it runs a guest.
    #[test]
    fn what_is_no_snapshot_is_refused() {
        let written = written();
        for length in 0..NOTE + 64 {
            let file = sealed_file("test", &written[..length.min(written.len() - 1)]).unwrap();
            assert!(open(&file.into()).is_err(), "{length}");
        }
        for place in written.len() - NOTE..written.len() {
            let mut garbled = written.clone();
            garbled[place] ^= 0xff;
            let file = sealed_file("test", &garbled).unwrap();
            let read = open(&file.into());
            // Other numbers may be those of another snapshot.
            let is_mark = place >= written.len() - MARK.len();
            assert!(read.is_err() || !is_mark, "{place}");
        }
    }
}
