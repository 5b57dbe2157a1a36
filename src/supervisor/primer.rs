//! The primer's process has the application start, in one instance, before there are workers: what is in that instance
//! then is written into a file in memory, which this process opens before and closes to every change afterwards.

use super::code_files::Code;
use super::policy::Death;
use super::single_task::SingleTask;
use super::{ChildTask, Roles};
use crate::exit::Status;
use crate::scoreboard::Scoreboard;
use crate::sys::memory;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// The process is killed with this handle.
pub struct Primer {
    pub process: SingleTask,
    snapshot: File,
    /// The snapshot may have this many bytes.
    most: u64,
}

impl Primer {
    /// Forks a process that primes an instance of which this is the code.
    pub fn start<R: Roles>(roles: &R, scoreboard: &Scoreboard, code: &Code) -> io::Result<Primer> {
        let snapshot = memory::empty_file("wasmserve snapshot")?;
        let kept = [code.file.as_raw_fd(), snapshot.as_raw_fd()];
        let prime = || {
            let snapshot = &snapshot;
            roles.run(ChildTask::Prime { code, snapshot })
        };
        let process = SingleTask::start(c"primer", scoreboard, &kept, prime)?;
        Ok(Primer {
            process,
            snapshot,
            most: roles.largest_snapshot(),
        })
    }

    /// Returns what a process that was reaped leaves: the snapshot, where there can be one, or why the application
    /// does not start.
    pub fn ended(self, death: &Death) -> Result<Option<OwnedFd>, (Status, String)> {
        let what = "the application's startup did not end";
        self.process.ended(death, what)?;
        let sealed = sealed(&self.snapshot, self.most);
        sealed.map_err(|error| (Status::Internal, format!("the snapshot is lost: {error}")))
    }
}

/// Gives the snapshot, to be read only; none where nothing was written. Who wrote it ran a guest, and could have
/// written without end: the memory would be taken for as long as the version is served.
fn sealed(snapshot: &File, most: u64) -> io::Result<Option<OwnedFd>> {
    memory::seal(snapshot)?;
    match snapshot.metadata()?.len() {
        0 => Ok(None),
        length if length > most => {
            let why = format!("it has {length} bytes, and an instance has at most {most}");
            Err(io::Error::other(why))
        }
        _ => Ok(Some(memory::read_only(snapshot)?.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_snapshot_is_closed_to_every_change_and_no_larger_than_an_instance() {
        let mut snapshot = memory::empty_file("test").unwrap();
        assert!(sealed(&snapshot, 9).unwrap().is_none());
        assert!(snapshot.write_all(&[1]).is_err());
        for (length, is_kept) in [(9, true), (10, false)] {
            let mut snapshot = memory::empty_file("test").unwrap();
            snapshot.write_all(&vec![1; length]).unwrap();
            assert_eq!(sealed(&snapshot, 9).is_ok(), is_kept, "{length}");
            assert!(snapshot.write_all(&[1]).is_err());
        }
    }
}
