//! What the compiler tells of its progress: to the supervisor, and to whoever reads the log.

use crate::cache::{CodeName, CodeOrigin};
use crate::guest::engine::Plan;
use crate::log;
use std::path::Path;

/// How far the compiler has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompileProgress {
    /// MappedCode of this name was in the cache, and is loaded now.
    Found(CodeName),
    /// There is code of the component with this index: the application is the first, the steps before the start follow.
    Made {
        index: u32,
        origin: CodeOrigin,
        plan: Plan,
    },
}

/// Whom the compiler tells how far it has come.
pub type ReportProgress<'a> = &'a dyn Fn(CompileProgress);

/// How a file is called in the log.
pub fn display_path(path: &Path) -> String {
    log::escape(&path.display().to_string()).to_string()
}

/// Bytes as people say them.
pub fn display_size(bytes: &[u8]) -> String {
    match bytes.len() as f64 {
        length if length < 1e6 => format!("{:.1} kB", length / 1e3),
        length => format!("{:.1} MB", length / 1e6),
    }
}
