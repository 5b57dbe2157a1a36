//! A compiler writes code into a file, which then gets its names in the cache, or nobody can write to it any more. The
//! supervisor opens the file before it forks the compiler, and finishes it when that has ended.

use super::directory::Cache;
use super::name::CodeName;
use super::seal;
use crate::sys::memory;
use crate::{log, warning};
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::path::Path;
use std::{fmt, io};

/// A `PendingCode` is the file of one component's code for as long as the compiler writes it.
pub struct PendingCode {
    file: File,
    place: CodeStorage,
}

/// There is no room for code where its file is.
#[derive(Debug)]
pub struct NoRoom;

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the compiled code cannot be written")
    }
}

/// Marks an error of writing code that another place could be the remedy for.
pub fn about_room(error: anyhow::Error) -> anyhow::Error {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    let full = error.chain().any(|cause| {
        let cause = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        matches!(cause, Some(FileTooLarge | QuotaExceeded | StorageFull))
    });
    match full {
        true => error.context(NoRoom),
        false => error,
    }
}

enum CodeStorage {
    Cache,
    /// The code is in memory, where the cache cannot be written to, for this reason.
    Memory(Option<anyhow::Error>),
}

impl PendingCode {
    /// Opens a file in the cache, or in memory where there is none.
    pub fn open(cache: Option<&Cache>) -> Result<PendingCode> {
        let (file, place) = match cache.map(Cache::nameless) {
            Some(Ok(file)) => (file, CodeStorage::Cache),
            Some(Err(error)) => (memory_file()?, CodeStorage::Memory(Some(error))),
            None => (memory_file()?, CodeStorage::Memory(None)),
        };
        Ok(PendingCode { file, place })
    }

    pub fn file(&self) -> &File {
        &self.file
    }

    /// Ends the writing: the code can be executed from now on, as whoever wrote it has ended, and nobody else writes
    /// to it. In the cache it gets its names, if it has any. Whoever maps it verifies the content.
    pub fn finish(self, names: &[CodeName], cache: Option<&Cache>, source: &Path) -> Result<File> {
        if !names.is_empty() && seal::name(&self.file)? != names.first().copied() {
            bail!("the compiler has not written what it says");
        }
        let kept = match self.place {
            CodeStorage::Memory(why) => {
                memory::seal(&self.file).context("compiled code cannot be sealed")?;
                why.filter(|_| !names.is_empty()).map_or(Ok(()), Err)
            }
            CodeStorage::Cache => {
                let mut names = names.iter();
                cache.map_or(Ok(()), |cache| {
                    names.try_for_each(|name| cache.keep(&self.file, *name))
                })
            }
        };
        if let Err(error) = kept {
            warning!(
                "the compiled code of {} is not kept, and the next start compiles it again: {error:#}; name a \
                 directory with --cache-dir",
                log::escape(&source.display().to_string())
            );
        }
        Ok(memory::read_only(&self.file)?)
    }
}

fn memory_file() -> Result<File> {
    memory::empty_file("wasmserve code").context("there is no memory for compiled code")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lack_of_room_is_told_from_other_errors() {
        let of = |number| {
            let error = anyhow::Error::from(io::Error::from_raw_os_error(number));
            about_room(error.context("it cannot be written"))
        };
        for number in [libc::ENOSPC, libc::EDQUOT, libc::EFBIG] {
            assert!(of(number).context("component").is::<NoRoom>());
        }
        assert!(!of(libc::EIO).is::<NoRoom>());
    }
}
