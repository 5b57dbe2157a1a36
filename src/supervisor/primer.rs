//! The process that has the application start, in one instance, before there are workers: what is in that instance then
//! is written into a file in memory, which this process opens before and closes to every change afterwards.

use super::Roles;
use super::code_files::Code;
use super::forker::{ended, fork_child};
use super::policy::Death;
use crate::channel::{Message, Receiver, channel};
use crate::exit::Status;
use crate::sys::process::{self, End};
use crate::sys::{memory, signals};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// It is killed with this handle.
pub struct Primer {
    pub pid: Pid,
    pub receiver: Receiver,
    snapshot: File,
    state: State,
}

enum State {
    Running,
    Failed(Status, String),
    Reaped,
}

impl Primer {
    /// Forks a process that primes an instance of which this is the code.
    pub fn start<R: Roles>(roles: &R, code: &Code) -> io::Result<Primer> {
        let (receiver, reporter) = channel()?;
        let snapshot = memory::empty_file("wasmserve snapshot")?;
        let kept = [
            code.file.as_raw_fd(),
            snapshot.as_raw_fd(),
            reporter.descriptor(),
        ];
        let pid = fork_child(
            &kept,
            || Ok(()),
            || {
                process::die_with_parent();
                process::call(c"primer");
                signals::ignore_reopening();
                let primed = signals::unblock_for_compiler().map_err(Into::into);
                let primed = primed.and_then(|()| roles.prime(&code.file, &code.note, &snapshot));
                ended(primed, &reporter)
            },
        )?;
        Ok(Primer {
            pid,
            receiver,
            snapshot,
            state: State::Running,
        })
    }

    /// Takes note of what it said.
    pub fn listen(&mut self) {
        while let Some(message) = self.receiver.receive() {
            match (message, &self.state) {
                (Ok(Message::Failed { status, text }), State::Running) => {
                    self.state = State::Failed(status, text);
                }
                (Ok(_), _) => {}
                (Err(_), _) => process::signal(self.pid, Signal::SIGKILL),
            }
        }
    }

    /// It was reaped: the snapshot, where there can be one, or why the application does not start.
    pub fn ended(mut self, death: &Death) -> Result<Option<OwnedFd>, (Status, String)> {
        match (std::mem::replace(&mut self.state, State::Reaped), death.end) {
            (State::Failed(status, text), _) => Err((status, text)),
            (_, End::Exited(0)) => {
                let sealed = sealed(&self.snapshot);
                sealed.map_err(|error| (Status::Internal, format!("the snapshot is lost: {error}")))
            }
            _ => {
                let why = format!("the application's startup did not end: {death}");
                Err((Status::Application, why))
            }
        }
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

/// A process that is killed is reaped when it has ended, with all others.
impl Drop for Primer {
    fn drop(&mut self) {
        if !matches!(self.state, State::Reaped) {
            process::signal(self.pid, Signal::SIGKILL);
        }
    }
}
