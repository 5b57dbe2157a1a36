//! A `ComponentFile` is read from the file that the operator named, and says what it holds. Every mistake about that
//! file is found here, before anything is compiled.

use super::info::ComponentInfo;
use crate::sys::regular::{self, LARGEST_COMPONENT};
use anyhow::{Context, Result, anyhow, bail};
use std::path::Path;
use wasmtime::{Engine, Precompiled};

/// A `ComponentFile` is what a file turned out to hold.
pub enum ComponentFile {
    /// The file holds a component, which is given in binary form.
    Component {
        binary: Vec<u8>,
        info: ComponentInfo,
    },
    /// The file holds native code that `wasmserve compile` has made.
    Precompiled(Vec<u8>),
}

impl ComponentFile {
    pub fn read(path: &Path) -> Result<ComponentFile> {
        Self::parse(path).with_context(|| format!("component `{}`", path.display()))
    }

    /// Reads a file for a caller that names the component in each mistake itself.
    pub fn parse(path: &Path) -> Result<ComponentFile> {
        let bytes = bytes_of(path)?;
        match Engine::detect_precompiled(&bytes) {
            Some(Precompiled::Component) => return Ok(ComponentFile::Precompiled(bytes)),
            Some(Precompiled::Module) => bail!("it is a precompiled core module, not a component"),
            None => {}
        }
        let binary = if is_text(&bytes) {
            wat::parse_bytes(&bytes)
                .map_err(|error| invalid_text(&error))?
                .into_owned()
        } else {
            bytes
        };
        let info = ComponentInfo::of(&binary)?;
        Ok(ComponentFile::Component { binary, info })
    }
}

fn bytes_of(path: &Path) -> Result<Vec<u8>> {
    if std::fs::metadata(path).is_ok_and(|found| found.is_dir()) {
        bail!("it is a directory; name the .wasm file in it");
    }
    regular::read(path, LARGEST_COMPONENT).context("cannot be read")
}

/// Says what is wrong and where, without the excerpt that takes several lines.
fn invalid_text(error: &wat::Error) -> anyhow::Error {
    let text = error.to_string();
    let mut lines = text.lines().map(str::trim);
    let what = lines.next().unwrap_or_default();
    let place = lines
        .find_map(|line| line.strip_prefix("--> <anon>:"))
        .unwrap_or("?");
    anyhow!("it is not valid WebAssembly text: {what} (line:column {place})")
}

/// Tells text from binary: text begins with a parenthesis or a comment, a binary with a zero byte.
fn is_text(bytes: &[u8]) -> bool {
    match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'(' | b';') => std::str::from_utf8(bytes).is_ok(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_told_from_a_binary() {
        assert!(is_text(b"\n ;; hello\n(component)"));
        assert!(!is_text(b"\0asm"));
        assert!(!is_text(b""));
        assert!(!is_text(b"(\xff"));
    }
}
