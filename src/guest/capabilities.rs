//! What the operator lets every instance use, and what of it a process opens once for all of its
//! instances.

use super::files::{self, Directory};
use super::output::{Output, Stream};
use anyhow::Result;
use std::sync::Arc;
use wasmtime_wasi::WasiCtx;
use wasmtime_wasi::filesystem::WasiFilesystemCtx;

/// What the operator named; nothing of it is open.
#[derive(Clone, Debug, Default)]
pub struct Capabilities {
    /// Environment variables of the guest.
    pub environment: Vec<(String, String)>,
    /// Command line arguments of the guest.
    pub arguments: Vec<String>,
    pub directories: Vec<Directory>,
}

/// The same, open. Belongs to one process: nothing of it is carried over a fork.
pub struct Granted {
    capabilities: Arc<Capabilities>,
    files: WasiFilesystemCtx,
}

impl Granted {
    pub fn open(capabilities: Arc<Capabilities>) -> Result<Arc<Granted>> {
        Ok(Arc::new(Granted {
            files: files::open(&capabilities.directories)?,
            capabilities,
        }))
    }

    /// The WASI context of one instance.
    pub fn wasi(&self) -> WasiCtx {
        let mut wasi = WasiCtx::builder();
        wasi.envs(&self.capabilities.environment)
            .args(&self.capabilities.arguments)
            .stdout(Output::new(Stream::Stdout))
            .stderr(Output::new(Stream::Stderr));
        let mut wasi = wasi.build();
        wasi.filesystem().clone_from(&self.files);
        wasi
    }
}
