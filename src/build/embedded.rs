//! wasmserve carries files within itself, for toolchains to read.

use anyhow::{Context, Result};
use std::path::Path;

/// An `Embedded` file is a relative path, and what is in that file.
pub type Embedded = (&'static str, &'static str);

/// Writes files below a directory, with the directories that they are in.
pub fn write_all<'a>(
    directory: &Path,
    files: impl IntoIterator<Item = (&'a str, impl AsRef<[u8]>)>,
) -> Result<()> {
    for (name, content) in files {
        write(&directory.join(name), content.as_ref())?;
    }
    Ok(())
}

pub fn write(path: &Path, content: &[u8]) -> Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory)
        .and_then(|()| std::fs::write(path, content))
        .with_context(|| format!("cannot write `{}`", path.display()))
}
