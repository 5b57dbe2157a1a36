//! This file compiles code whose instances can be restored, and takes the snapshot that goes with it. What an
//! application has in common with others is compiled once: where memories begin with data, that is no part of the
//! code.

use super::one_off::block_on_guest;
use super::spec::{Digest, digest, engine_hash};
use crate::cache::{Cache, CodeName, seal};
use crate::guest::component::target::{Restore, Target};
use crate::guest::engine::{self, Effort, code};
use crate::guest::snapshot::{self, Segment};
use crate::{debug, warning};
use anyhow::{Result, anyhow, ensure};
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use wasmtime::component::Linker;
use wasmtime::{ResourceLimiter, Store};

/// Writes code whose instances can be restored into an empty file; an error says why there cannot be any. An instance
/// may have this much memory. It gives the name under which other applications of the same interpreter find the code,
/// where that is possible, and looks in the cache first for what was made with this effort or a better one.
pub fn compile(
    target: Target,
    effort: Effort,
    binary: &[u8],
    memory: u64,
    cache: Option<&Cache>,
    file: &mut File,
) -> Result<Option<CodeName>> {
    let binary = snapshot::instrument(binary)?;
    let taken = match target.restore {
        Restore::Fenced => snapshot::take_out_data(&binary),
        // There is as much code of the application's own.
        _ => Err(anyhow!("it is small")),
    };
    let taken = taken.and_then(|(without, data)| {
        let component = digest(&without);
        for known in effort.or_better() {
            let name = shared_name(target, *known, component)?;
            if cache.is_some_and(|cache| copy_shared(cache, name, file)) {
                return Ok((name, data));
            }
        }
        write_code(target, effort, &without, file)?;
        Ok((shared_name(target, effort, component)?, data))
    });
    match taken {
        Ok((name, data)) => {
            append_snapshot((target, effort), memory, &data, Some(name.component), file)?;
            Ok(Some(name))
        }
        Err(error) => {
            debug!("its code is compiled together with its data: {error:#}");
            write_code(target, effort, &binary, file)?;
            append_snapshot((target, effort), memory, &[], None, file)?;
            Ok(None)
        }
    }
}

fn write_code(target: Target, effort: Effort, binary: &[u8], file: &mut File) -> Result<()> {
    empty(file)?;
    Ok(file.write_all(&engine::compile(target, effort, binary)?)?)
}

fn empty(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()
}

/// Names code in the cache that was made of a component without data, which has this digest.
fn shared_name(target: Target, effort: Effort, component: Digest) -> Result<CodeName> {
    let engine = engine_hash(target, effort, "without data")?;
    Ok(CodeName { component, engine })
}

/// Copies the code of this name from the cache, where it is there and as it was written.
fn copy_shared(cache: &Cache, name: CodeName, file: &mut File) -> bool {
    let copied = cache.lookup(name).and_then(|found| {
        let Some(mut found) = found else {
            return Ok(false);
        };
        seal::verify(&found)?;
        let length = snapshot::shared_code(&found, name.component)?;
        found.rewind()?;
        io::copy(&mut found.take(length), file)?;
        debug!("its code is in the cache already: only its data is new");
        Ok(true)
    });
    copied.unwrap_or_else(|error| {
        warning!("compiled code in the cache is not used, and made again: {error:#}");
        false
    })
}

/// Writes a snapshot of an instance behind its code. The instance is made without a host: one that asks for anything
/// while it is made is not the same each time. Its memories begin with this data, as far as that was taken out of the
/// component.
fn append_snapshot(
    (target, effort): (Target, Effort),
    memory: u64,
    data: &[Segment<'_>],
    shared: Option<[u8; 32]>,
    file: &mut File,
) -> Result<()> {
    let engine = engine::compiling_with(target, effort)?;
    let component = code::component(&engine, file)?;
    let mut linker = Linker::<Allowance>::new(&engine);
    linker.define_unknown_imports_as_traps(&component)?;
    let pre = linker.instantiate_pre(&component)?;
    let limit = Allowance {
        left: memory,
        refused: false,
    };
    let mut store = Store::new(&engine, limit);
    store.limiter(|limit| limit);
    store.set_epoch_deadline(u64::MAX >> 1);
    let made = block_on_guest(snapshot::make(&pre, &mut store))?;
    ensure!(!store.data().refused, MemoryRefused);
    let regions = made?;
    regions.write(&mut store, data)?;
    snapshot::append(&regions.contents(&mut store), shared, file)
}

/// An instance was refused memory while it was made, so that with a higher limit the snapshot might be different.
#[derive(Debug)]
pub struct MemoryRefused;

impl fmt::Display for MemoryRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "an instance asks for more than --max-memory while it is made"
        )
    }
}

impl std::error::Error for MemoryRefused {}

/// An `Allowance` is the linear memory that an instance may take while it is made.
struct Allowance {
    left: u64,
    refused: bool,
}

impl ResourceLimiter for Allowance {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current) as u64;
        match self.left.checked_sub(more) {
            Some(left) => self.left = left,
            None => self.refused = true,
        }
        Ok(!self.refused)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        _desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(true)
    }
}
