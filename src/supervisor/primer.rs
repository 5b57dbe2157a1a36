//! The process that has the application start, in one instance, before there are workers: what is in that instance then
//! is written into a file in memory, which this process opens before and closes to every change afterwards.

use super::Roles;
use super::code_files::Code;
use super::policy::Death;
use super::single_task::SingleTask;
use crate::exit::Status;
use crate::sys::memory;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// It is killed with this handle.
pub struct Primer {
    pub process: SingleTask,
    snapshot: File,
}

impl Primer {
    /// Forks a process that primes an instance of which this is the code.
    pub fn start<R: Roles>(roles: &R, code: &Code) -> io::Result<Primer> {
        let snapshot = memory::empty_file("wasmserve snapshot")?;
        let kept = [code.file.as_raw_fd(), snapshot.as_raw_fd()];
        let prime = || roles.prime(code, &snapshot);
        let process = SingleTask::start(c"primer", &kept, prime)?;
        Ok(Primer { process, snapshot })
    }

    /// It was reaped: the snapshot, where there can be one, or why the application does not start.
    pub fn ended(self, death: &Death) -> Result<Option<OwnedFd>, (Status, String)> {
        let what = "the application's startup did not end";
        self.process.ended(death, what)?;
        let sealed = sealed(&self.snapshot);
        sealed.map_err(|error| (Status::Internal, format!("the snapshot is lost: {error}")))
    }
}

/// The snapshot, to be read only; none where nothing was written.
fn sealed(snapshot: &File) -> io::Result<Option<OwnedFd>> {
    if snapshot.metadata()?.len() == 0 {
        return Ok(None);
    }
    memory::seal(snapshot)?;
    Ok(Some(memory::read_only(snapshot)?.into()))
}
