//! The memories of an instance that was just made, kept in one file with the code: behind it, in whole pages, with
//! a note at the end that says where.

use super::make;
use crate::guest::code;
use crate::guest::compile::alone;
use crate::guest::engine::{self, Target};
use crate::sys::memory::{page_size, sealed_file};
use crate::sys::region::Image;
use anyhow::{Context, Result, ensure};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use wasmtime::Store;
use wasmtime::component::Linker;

/// The last bytes of a file that has a snapshot.
const MARK: [u8; 8] = *b"wssnap01";

/// Memories of a component, with how long each is and what is in it.
pub struct Snapshot(Vec<(usize, Image)>);

/// The same, on its way to or from a file: the size, and the length of the image, which ends with the last page
/// that is not zero.
type Entry = (u64, u64);

/// More memories than any component has that is made by a toolchain.
const MOST: usize = 16;

impl Snapshot {
    /// Of what is behind `code`, if there is one.
    pub fn beside(code: &OwnedFd) -> Result<Option<Snapshot>> {
        let file = File::from(code.try_clone()?);
        let Some((start, entries)) = note(&file)? else {
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

/// Where the images begin, and what there is of them.
fn note(file: &File) -> Result<Option<(u64, Vec<Entry>)>> {
    let length = file.metadata()?.len();
    let mut end = [0; 24];
    let Some(at) = length.checked_sub(end.len() as u64) else {
        return Ok(None);
    };
    file.read_exact_at(&mut end, at)?;
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
    Ok(Some((start, entries.collect())))
}

fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// Code with a snapshot of an instance of it, made without a host: an instance that asks for anything while it
/// is made is not the same each time.
pub fn with_snapshot(target: Target, code: &[u8]) -> Result<Vec<u8>> {
    let engine = engine::compiling(target)?;
    let component = code::component(&engine, &sealed_file("wasmserve code", code)?.into())?;
    let mut linker = Linker::<()>::new(&engine);
    linker.define_unknown_imports_as_traps(&component)?;
    let pre = linker.instantiate_pre(&component)?;
    let mut store = Store::new(&engine, ());
    store.set_epoch_deadline(u64::MAX >> 1);
    let (_, regions) = alone(make(&pre, &mut store))??;
    let memories = regions.contents(&mut store);
    ensure!(memories.len() <= MOST, "it has more than {MOST} memories");

    let mut file = code.to_vec();
    pad(&mut file);
    let start = file.len() as u64;
    let mut entries = Vec::new();
    for bytes in &memories {
        let used = bytes
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last + 1);
        let used = used.next_multiple_of(page_size());
        file.extend_from_slice(&bytes[..used]);
        entries.extend([bytes.len() as u64, used as u64]);
    }
    entries.extend([start, memories.len() as u64]);
    entries
        .iter()
        .for_each(|entry| file.extend(entry.to_le_bytes()));
    file.extend(MARK);
    Ok(file)
}

fn pad(file: &mut Vec<u8>) {
    file.resize(file.len().next_multiple_of(page_size()), 0);
}
