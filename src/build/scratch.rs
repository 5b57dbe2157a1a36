//! A `Scratch` directory is for what is only needed meanwhile.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// A `Scratch` directory can be read by its owner alone, and is removed with all that is in it when this is dropped.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Result<Scratch> {
        let template = std::env::temp_dir().join("wasmserve-XXXXXX");
        let path = nix::unistd::mkdtemp(&template)
            .with_context(|| format!("cannot make a directory like `{}`", template.display()))?;
        Ok(Scratch(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
