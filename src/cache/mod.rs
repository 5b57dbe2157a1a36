//! The cache keeps native code on disk between two starts: in a directory that only its owner can read and write,
//! with one file for each component and engine, which ends with a digest of what is in it. It knows nothing of
//! compiling.

mod directory;
mod name;
mod pending_code;
mod prune;
pub mod seal;

pub use directory::{Cache, default_directory};
pub use name::CodeName;
pub use pending_code::{NoRoom, PendingCode, about_room};
pub use prune::{CachedFile, superfluous};

use std::path::PathBuf;

/// `CodeOrigin` says where the compiler has left the code of a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeOrigin {
    /// The code was in the cache already, under this name.
    Cached(CodeName),
    /// The code is in the file that the compiler was given for it; it has these names where other starts can use it
    /// too.
    Written(Vec<CodeName>),
}

/// `Settings` is what the operator decided about the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The directory is `None` where no place for it is known.
    pub directory: Option<PathBuf>,
    /// All of the cache may take this many bytes.
    pub most: u64,
}
