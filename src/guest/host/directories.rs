//! A guest sees the directories of the host that the operator names. It cannot leave them: every path is resolved
//! beneath the open directory, symbolic links too.

use anyhow::{Context, Result};
use std::path::PathBuf;
use wasmtime_wasi::filesystem::WasiFilesystemCtx;
use wasmtime_wasi::{FsPerms, WasiCtx};

/// A `Directory` is a directory of the host, and the name that the guest knows it by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    pub host: PathBuf,
    pub guest: String,
    pub writable: bool,
}

/// Opens the directories once; all instances share the descriptors.
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
