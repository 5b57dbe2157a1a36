//! The directories of the host that a guest sees. The guest cannot leave them: every path is resolved
//! beneath the open directory, symbolic links too.

use anyhow::{Context, Result};
use std::path::PathBuf;
use wasmtime_wasi::filesystem::WasiFilesystemCtx;
use wasmtime_wasi::{FsPerms, WasiCtx};

/// A directory of the host, and what the guest knows it as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    pub host: PathBuf,
    pub guest: String,
    pub writable: bool,
}

/// Opens them once; every instance shares the descriptors.
pub fn open(directories: &[Directory]) -> Result<WasiFilesystemCtx> {
    let mut wasi = WasiCtx::builder();
    for directory in directories {
        let permissions = if directory.writable {
            FsPerms::ReadWrite
        } else {
            FsPerms::ReadOnly
        };
        wasi.preopened_dir(&directory.host, &directory.guest, permissions)
            .map_err(anyhow::Error::from)
            .with_context(|| {
                format!(
                    "directory `{}` cannot be opened; see that the user that wasmserve runs as may \
                     read it",
                    directory.host.display()
                )
            })?;
    }
    Ok(wasi.build().filesystem().clone())
}
