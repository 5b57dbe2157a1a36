//! Native code on disk, between two starts: a directory that only its owner can read and write, with one file for
//! each component and engine, which ends with a digest of what is in it. Knows nothing of compiling.

mod directory;
mod name;
mod output;
mod prune;
pub mod seal;

pub use directory::{Cache, default_directory};
pub use name::CodeName;
pub use output::Output;

use std::path::PathBuf;

/// Where the compiler has left the code of a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeOrigin {
    /// It was in the cache already, under this name.
    Cached(CodeName),
    /// In the file that it was given for it; with its names where other starts can use it too.
    Written(Vec<CodeName>),
}

/// What the operator decided about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// None where no place for it is known.
    pub directory: Option<PathBuf>,
    /// Bytes that all of it may take.
    pub most: u64,
}
