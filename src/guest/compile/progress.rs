//! The compiler tells the supervisor of its progress, and the log.

use crate::cache::{CodeName, CodeOrigin};
use crate::guest::engine::CodeInfo;
use crate::info;
use crate::log::{self, Spinner};
use anyhow::Result;
use std::path::Path;
use std::time::Instant;

/// `CompileProgress` says how far the compiler has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompileProgress {
    /// The compiler has found code of this name in the cache, and loads it now.
    Found(CodeName),
    /// There is code of the component with this index: the application is the first, the steps before the start follow.
    Made {
        index: u32,
        origin: CodeOrigin,
        info: CodeInfo,
    },
}

/// The compiler calls this when it has come further.
pub type ReportProgress<'a> = &'a dyn Fn(CompileProgress);

/// Compiles this component from this file by `work`, and tells that it goes on, as it may take a while.
pub fn shown<T>(path: &Path, binary: &[u8], work: impl FnOnce() -> Result<T>) -> Result<T> {
    let (path, start) = (display_path(path), Instant::now());
    info!("Compiling {path}, {} …", display_size(binary));
    let made = Spinner::start(format!("Compiling {path}")).during(work)?;
    info!("Compiled {path} in {:.1} s", start.elapsed().as_secs_f32());
    Ok(made)
}

/// Formats a path for the log.
pub fn display_path(path: &Path) -> String {
    log::escape(&path.display().to_string()).to_string()
}

/// Formats a number of bytes for people.
fn display_size(bytes: &[u8]) -> String {
    match bytes.len() as f64 {
        length if length < 1e6 => format!("{:.1} kB", length / 1e3),
        length => format!("{:.1} MB", length / 1e6),
    }
}
