//! The file that a compiler writes code into, and what becomes of it: it gets its name in the cache, or nobody can
//! write to it any more.

use super::directory::Cache;
use super::name::CodeName;
use crate::sys::memory;
use crate::warning;
use anyhow::Result;
use std::fs::File;

/// A file for the code of one component.
pub struct Output {
    file: File,
    in_memory: bool,
}

impl Output {
    /// In the cache, or in memory where there is none.
    pub fn open(cache: Option<&Cache>) -> Result<Output> {
        let in_cache = cache.and_then(|cache| {
            let file = cache.nameless();
            let file = file.inspect_err(|error| {
                warning!("compiled code is not kept for the next start: {error:#}");
            });
            file.ok()
        });
        let in_memory = in_cache.is_none();
        let file = in_cache.map_or_else(|| memory::empty_file("wasmserve code"), Ok)?;
        Ok(Output { file, in_memory })
    }

    pub fn try_clone(&self) -> Result<File> {
        Ok(self.file.try_clone()?)
    }

    /// What is in it can be executed from now on: nobody writes to it any more. In the cache it gets its names.
    pub fn finish(self, names: &[CodeName], cache: Option<&Cache>) -> Result<File> {
        if self.in_memory {
            memory::seal(&self.file)?;
        } else if let Some(cache) = cache
            && let Err(error) = (names.iter()).try_for_each(|name| cache.keep(&self.file, *name))
        {
            warning!("compiled code is not kept for the next start: {error:#}");
        }
        Ok(memory::read_only(&self.file)?)
    }
}
