//! A snapshot is kept in one file with the code: the memories of an instance that was just made stand behind the
//! code, in whole pages, with a note at the end that says where.

use crate::cache::seal;
use crate::sys::memory::page_size;
use crate::sys::region::Image;
use anyhow::{Context, Result, ensure};
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

/// A file that has a snapshot ends with these bytes, before its seal.
const MARK: [u8; 8] = *b"wssnap02";

/// A note has this many bytes however many memories there are: the digest of what the code was made of where others can
/// use it too, or zeros; where the images begin; how many there are; the mark.
const NOTE: usize = 32 + 8 + 8 + MARK.len();

/// A `Snapshot` holds the memories of a component: how long each is, and what is in it.
pub struct Snapshot(Vec<(usize, Image)>);

/// An `Entry` describes a memory in the file: its size, and the length of its image, which ends with the last page
/// that is not zero.
type Entry = (u64, u64);

/// No component that a toolchain makes has more memories.
pub(super) const MOST: usize = 16;

impl Snapshot {
    /// Makes a snapshot of memories that have these sizes and images.
    pub(super) fn of(memories: Vec<(usize, Image)>) -> Snapshot {
        Snapshot(memories)
    }

    /// Reads the snapshot behind the code in a file, if there is one.
    pub fn beside(code: &impl AsFd) -> Result<Option<Snapshot>> {
        let file = File::from(code.as_fd().try_clone_to_owned()?);
        let Some(Note { start, entries, .. }) = note(&file)? else {
            return Ok(None);
        };
        let mut offset = start;
        let mut memories = Vec::new();
        for (size, length) in entries {
            let image = Image::open(code.as_fd(), offset, usize::try_from(length)?)?;
            memories.push((usize::try_from(size)?, image));
            offset += length;
        }
        Ok(Some(Snapshot(memories)))
    }

    pub fn memories(&self) -> impl Iterator<Item = (usize, &Image)> {
        self.0.iter().map(|(size, image)| (*size, image))
    }
}

/// Counts the bytes of a file that are code made of what has this digest, without data.
pub fn shared_code(file: &File, digest: [u8; 32]) -> Result<u64> {
    let note = note(file)?.context("it has no snapshot")?;
    ensure!(note.shared == digest, "it is the code of something else");
    Ok(note.start)
}

/// A `Note` says where the images begin, and what there is of them.
struct Note {
    /// The code was made of what has this digest, without data.
    shared: [u8; 32],
    start: u64,
    entries: Vec<Entry>,
}

fn note(file: &File) -> Result<Option<Note>> {
    let length = seal::content(file)?.context("it is not sealed")?;
    let mut end = [0; NOTE];
    let Some(at) = length.checked_sub(end.len() as u64) else {
        return Ok(None);
    };
    file.read_exact_at(&mut end, at)?;
    let (shared, end) = end.split_at(32);
    let (numbers, mark) = end.split_at(16);
    if mark != MARK {
        return Ok(None);
    }
    let (start, count) = (number(&numbers[..8]), number(&numbers[8..]));
    let count = usize::try_from(count)?;
    ensure!(count <= MOST, "its note is damaged");
    let mut entries = vec![0; 16 * count];
    let at = at.checked_sub(entries.len() as u64);
    file.read_exact_at(&mut entries, at.context("its note is damaged")?)?;
    let entries = entries.chunks(16);
    let entries = entries.map(|entry| (number(&entry[..8]), number(&entry[8..])));
    Ok(Some(Note {
        shared: shared.try_into()?,
        start,
        entries: entries.collect(),
    }))
}

fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// Writes a snapshot of memories with these contents behind the code in a file, with the digest of what the code was
/// made of where that has no data.
pub fn append(memories: &[&[u8]], shared: Option<[u8; 32]>, file: &mut File) -> Result<()> {
    ensure!(memories.len() <= MOST, "it has more than {MOST} memories");
    let end = file.metadata()?.len();
    let start = end.next_multiple_of(page_size() as u64);
    file.set_len(start)?;
    file.seek(SeekFrom::Start(start))?;
    let mut numbers = Vec::new();
    for bytes in memories {
        let used = bytes
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last + 1);
        let used = used.next_multiple_of(page_size());
        file.write_all(&bytes[..used])?;
        numbers.extend([bytes.len() as u64, used as u64]);
    }
    let entries = numbers.iter().flat_map(|number| number.to_le_bytes());
    let end = [start, memories.len() as u64].map(u64::to_le_bytes);
    let note = entries.chain(shared.unwrap_or_default());
    let note: Vec<u8> = note.chain(end.concat()).chain(MARK).collect();
    file.write_all(&note)?;
    Ok(())
}
