//! Code whose instances can be put back, with a snapshot of the first.

use super::request::alone;
use crate::guest::component::target::Target;
use crate::guest::engine::{self, code};
use crate::guest::snapshot;
use anyhow::{Result, ensure};
use std::fmt;
use std::fs::File;
use std::io::Write;
use wasmtime::component::Linker;
use wasmtime::{ResourceLimiter, Store};

/// Writes code whose instances can be put back into an empty file; an error says why there cannot be any. An
/// instance may have so much memory.
pub fn compile(target: Target, binary: &[u8], memory: u64, file: &mut File) -> Result<()> {
    let binary = snapshot::instrument(binary)?;
    let code = engine::compile(target, &binary)?;
    file.write_all(&code)?;
    drop(code);
    append_snapshot(target, memory, file)
}

/// Writes a snapshot of an instance behind its code. The instance is made without a host: one that asks for
/// anything while it is made is not the same each time.
fn append_snapshot(target: Target, memory: u64, file: &mut File) -> Result<()> {
    let engine = engine::compiling(target)?;
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
    let made = alone(snapshot::make(&pre, &mut store))?;
    ensure!(!store.data().refused, MemoryRefused);
    let (_, regions) = made?;
    snapshot::append(&regions.contents(&mut store), file)
}

/// An instance was refused memory while it was made: with a higher limit it would perhaps be another.
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

/// The linear memory that an instance may take while it is made.
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
