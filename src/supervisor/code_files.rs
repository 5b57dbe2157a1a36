//! A compiler writes code into `CodeFiles`, which are opened before it is forked, so that it needs no right to make
//! any, and no descriptor of its own comes up. What it says of them is checked; when it has ended they are kept.

use super::settings::CodeSettings;
use crate::cache::{Cache, CodeName, CodeOrigin, PendingCode};
use crate::channel::{CodeInfo, CodeReport};
use crate::exit::{Exit, Status};
use crate::sys::memory;
use crate::warning;
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// `Code` is native code, and what its compiler said about it.
pub struct Code {
    pub file: OwnedFd,
    /// This is `None` where the executable before this one had the code made, and describes it in a way that this one
    /// does not know.
    pub info: Option<CodeInfo>,
    /// The code has this name in the cache, where it was there before this start.
    pub found: Option<CodeName>,
    /// Instances begin as this snapshot has them, where that is another than when they are made.
    pub primed: Option<OwnedFd>,
    /// The periodic jobs have this code.
    pub jobs: Vec<Code>,
}

impl Code {
    /// Returns what stands for the code of a server that has no application.
    pub fn nothing() -> io::Result<Code> {
        Ok(Code {
            file: memory::empty_file("wasmserve code")?.into(),
            info: None,
            found: None,
            primed: None,
            jobs: Vec::new(),
        })
    }

    /// Lists the descriptors that whoever loads the code needs.
    pub fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        let primed = self.primed.iter().map(AsRawFd::as_raw_fd);
        primed.chain([self.file.as_raw_fd()])
    }

    /// Returns the `CodeInfo`, without which the code cannot be loaded.
    pub fn known_info(&self) -> Result<CodeInfo> {
        let info = self.info;
        info.context("an executable before this one has compiled it, in another way")
    }

    pub fn try_clone(&self) -> io::Result<Code> {
        Ok(Code {
            file: self.file.try_clone()?,
            info: self.info,
            found: self.found,
            primed: self.primed.as_ref().map(OwnedFd::try_clone).transpose()?,
            jobs: self
                .jobs
                .iter()
                .map(Code::try_clone)
                .collect::<io::Result<_>>()?,
        })
    }
}

/// `CodeFiles` has one file for the application, and one for each step before the start.
pub struct CodeFiles {
    cache: Option<Cache>,
    /// All of the cache may take this many bytes.
    most: u64,
    files: Vec<CodeFile>,
}

struct CodeFile {
    source: PathBuf,
    output: PendingCode,
    made: CompilerOutput,
}

/// A `CompilerOutput` is what the compiler said about one of the files.
enum CompilerOutput {
    Nothing,
    /// The code was in the cache already.
    Found(Code),
    Written {
        names: Vec<CodeName>,
        info: CodeInfo,
    },
}

impl CodeFiles {
    /// Opens a file for each component: in memory where the cache `has_room` no more.
    pub fn open(settings: &CodeSettings, has_room: bool) -> Result<CodeFiles> {
        // Where there is none the compiler says so.
        let cache = settings.open_cache().ok();
        let kept = cache.as_ref().filter(|_| has_room);
        let sources = settings.sources.iter();
        let files = sources.map(|source| {
            Ok(CodeFile {
                source: source.clone(),
                output: PendingCode::open(kept)?,
                made: CompilerOutput::Nothing,
            })
        });
        Ok(CodeFiles {
            files: files.collect::<Result<_>>()?,
            cache,
            most: settings.most,
        })
    }

    /// Says how many bytes were written.
    pub fn written(&self) -> u64 {
        let files = self.files.iter();
        let blocks = files.filter_map(|file| Some(file.output.file().metadata().ok()?.blocks()));
        blocks.sum::<u64>() * 512
    }

    pub fn len(&self) -> usize {
        self.files.len()
    }

    pub fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        let files = self.files.iter();
        files.map(|file| file.output.file().as_raw_fd())
    }

    /// Opens the files once more, as the compiler has them.
    pub fn try_clone(&self) -> io::Result<Vec<File>> {
        let files = self.files.iter();
        files.map(|file| file.output.file().try_clone()).collect()
    }

    /// Takes note of what the compiler says. Code that cannot be had any more counts as damaged.
    pub fn note(&mut self, report: CodeReport) -> Result<()> {
        let file = usize::try_from(report.index).ok();
        let file = file.and_then(|index| self.files.get_mut(index));
        let file = file.context("the compiler has made what it was not asked for")?;
        let info = report.info;
        file.made = match report.origin {
            CodeOrigin::Written(names) => CompilerOutput::Written { names, info },
            CodeOrigin::Cached(name) => {
                let cache = self.cache.as_ref().context("there is no cache");
                let found = cache.and_then(|cache| cache.lookup(name));
                let found = found.and_then(|it| it.context("the compiled code has left the cache"));
                let found = found.exits(Status::DamagedCode)?;
                Cache::touch(&found);
                CompilerOutput::Found(Code {
                    file: found.into(),
                    info: Some(info),
                    found: Some(name),
                    primed: None,
                    jobs: Vec::new(),
                })
            }
        };
        Ok(())
    }

    /// Gives the application's code where it was in the cache, so that nobody can write to it.
    pub fn found(&self) -> io::Result<Option<Code>> {
        match self.files.first().map(|file| &file.made) {
            Some(CompilerOutput::Found(code)) => code.try_clone().map(Some),
            _ => Ok(None),
        }
    }

    /// Returns the code of all of them. The compiler has ended.
    pub fn finish(self) -> Result<Vec<Code>> {
        let cache = self.cache.as_ref();
        let mut grew = false;
        let files = self.files.into_iter();
        let codes = files.map(|file| match file.made {
            CompilerOutput::Nothing => bail!("the compiler has ended too early"),
            CompilerOutput::Found(code) => Ok(code),
            CompilerOutput::Written { names, info } => {
                grew |= !names.is_empty();
                let written = file.output.finish(&names, cache, &file.source)?;
                Ok(Code {
                    file: written.into(),
                    info: Some(info),
                    found: None,
                    primed: None,
                    jobs: Vec::new(),
                })
            }
        });
        let codes = codes.collect::<Result<_>>()?;
        if let Some(cache) = cache.filter(|_| grew)
            && let Err(error) = cache.prune(self.most)
        {
            warning!("the cache is larger than --cache-size: {error:#}");
        }
        Ok(codes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::{Needs, Restore, Target, World};
    use crate::exit::status_of;

    fn info() -> CodeInfo {
        CodeInfo {
            target: Target {
                world: World::P2,
                concurrent: false,
                restore: Restore::No,
                inlining: true,
            },
            websockets: false,
            lifecycle: false,
            needs: Needs {
                memories: 1,
                initial_memory: 0,
                tables: 1,
                table_elements: 0,
            },
        }
    }

    /// Another server that has the same cache may have pruned it since the compiler looked.
    #[test]
    fn code_that_has_left_the_cache_is_damaged_code() {
        let name = format!("wasmserve-code-files-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        let settings = CodeSettings {
            sources: vec![PathBuf::from("app.wasm")],
            directory: Some(directory.clone()),
            most: 1 << 20,
            owner: None,
        };
        let mut files = CodeFiles::open(&settings, true).unwrap();
        let name = CodeName {
            component: [1; 32],
            engine: 2,
        };
        let report = CodeReport {
            index: 0,
            origin: CodeOrigin::Cached(name),
            info: info(),
        };
        let error = files.note(report.clone()).unwrap_err();
        assert_eq!(status_of(&error), Status::DamagedCode);
        let unknown = files.note(CodeReport { index: 1, ..report });
        assert_eq!(status_of(&unknown.unwrap_err()), Status::Internal);
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
