//! The wall around the sandbox: what a worker may still ask of the kernel once it serves. A guest that got out of
//! WebAssembly would be in a process that opens nothing but what guests were given, and starts nothing.

mod calls;
mod files;
#[cfg(test)]
mod tests;

use anyhow::{Context, Result};
use nix::sys::prctl;
use std::path::PathBuf;

/// What a worker may use of the machine besides the sockets that it accepts from.
#[derive(Clone, Debug, Default)]
pub struct Fence {
    /// Directories whose files it reads, and those whose files it writes too.
    pub readable: Vec<PathBuf>,
    pub writable: Vec<PathBuf>,
    /// Whether it looks names up and connects to anybody.
    pub connects: bool,
}

impl Fence {
    /// Closes it behind this thread and those that this thread starts, for good: what is open stays open. Gives
    /// what there is in this kernel to enforce nothing of it with.
    pub fn close(&self) -> Result<Vec<&'static str>> {
        prctl::set_no_new_privs().context("privileges cannot be given up")?;
        let mut missing = Vec::new();
        if !files::restrict(self).context("landlock refuses")? {
            missing.push("landlock");
        }
        if !calls::restrict(self).context("seccomp refuses")? {
            missing.push("seccomp");
        }
        Ok(missing)
    }
}
