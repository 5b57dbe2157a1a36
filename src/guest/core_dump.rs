//! A core dump keeps what an instance was like when it trapped. There is one for each failure that differs, and no
//! more than the operator wants.

use crate::log;
use crate::sys::locked_directory::LockedDirectory;
use anyhow::{Context, Result, bail};
use blake3::Hasher;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use wasmtime::{FrameInfo, Store, WasmBacktrace, WasmCoreDump};

/// An instance with more memory has no dump: writing it down takes as much again, twice.
const LARGEST: u64 = 256 << 20;

/// Dumps are found by these ends of their names.
const BEGIN: &str = "core-";
const END: &str = ".wasm";

/// `CoreDumps` says where dumps are kept, and how many.
#[derive(Clone, Debug)]
pub struct CoreDumps {
    pub directory: PathBuf,
    pub most: usize,
}

impl CoreDumps {
    /// Keeps a dump of an instance that has trapped, unless there is one of this failure already; returns its file.
    pub fn keep<T: 'static>(
        &self,
        error: &wasmtime::Error,
        cause: &str,
        store: &mut Store<T>,
    ) -> Option<PathBuf> {
        let dump = error.downcast_ref::<WasmCoreDump>()?;
        let component = log::component().unwrap_or("unknown");
        let failure = distinguished(error, cause);
        let name = format!(
            "{BEGIN}{}-{failure}{END}",
            &component[..component.len().min(12)]
        );
        let path = self.directory.join(&name);
        match self.write(&name, dump, store) {
            Ok(true) => Some(path),
            Ok(false) => path.exists().then_some(path),
            Err(why) => {
                crate::warning!("a core dump cannot be kept: {why:#}");
                None
            }
        }
    }

    /// Writes a dump, and says whether it did: not where there is one of this name, or enough of them.
    fn write<T: 'static>(
        &self,
        name: &str,
        dump: &WasmCoreDump,
        store: &mut Store<T>,
    ) -> Result<bool> {
        // Workers do so one after the other, and who comes second finds what the first has written.
        let Some(directory) = LockedDirectory::lock(&self.directory)? else {
            return Ok(false);
        };
        let kept = directory.names()?;
        let dumps = kept
            .iter()
            .filter(|name| name.starts_with(BEGIN) && name.ends_with(END));
        if kept.iter().any(|kept| kept == name) || dumps.count() >= self.most {
            return Ok(false);
        }
        let memories = dump.memories().iter();
        let size: u64 = memories
            .map(|memory| memory.data_size(&*store) as u64)
            .sum();
        if size > LARGEST {
            bail!("the instance has {size} bytes of memory, and dumps have at most {LARGEST}");
        }
        // What the engine cannot write down must not end the worker.
        let written = AssertUnwindSafe(|| dump.serialize(&mut *store, name));
        let bytes = catch_unwind(written);
        let bytes = bytes.map_err(|_| anyhow::anyhow!("the engine cannot write it down"))?;
        directory
            .write_new(name, &bytes)
            .with_context(|| format!("cannot write `{}`", self.directory.join(name).display()))?;
        Ok(true)
    }
}

/// Tells one failure from another: by its cause, and by the functions that were running. How an instance is entered is
/// no part of it: that differs between one that was restored and one that is new.
pub fn distinguished(error: &wasmtime::Error, cause: &str) -> String {
    let backtrace = error.downcast_ref::<WasmBacktrace>();
    let frames = backtrace.map_or(&[][..], WasmBacktrace::frames);
    let is_entry = |frame: &FrameInfo| {
        let export = frame.func_name().is_some_and(|name| name.contains('#'));
        export || frame.module().name().is_none()
    };
    let mut inner: Vec<&FrameInfo> = frames.iter().filter(|frame| !is_entry(frame)).collect();
    if inner.is_empty() {
        inner = frames.iter().collect();
    }
    let mut hasher = Hasher::new();
    hasher.update(cause.as_bytes());
    for frame in inner {
        hasher.update(frame.module().name().unwrap_or_default().as_bytes());
        hasher.update(&frame.func_index().to_le_bytes());
        hasher.update(&frame.func_offset().unwrap_or_default().to_le_bytes());
    }
    hasher.finalize().to_hex()[..16].to_owned()
}
