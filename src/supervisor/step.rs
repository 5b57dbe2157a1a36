//! The process that takes one step before the start: it is kept to what workers are kept to, ends with the supervisor,
//! and says why where it fails.

use super::Roles;
use super::code_files::Code;
use super::forker::{ended, fork_child};
use super::policy::Death;
use crate::channel::{Message, Receiver, channel};
use crate::exit::Status;
use crate::sys::process::{self, End};
use crate::sys::signals;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::io;
use std::os::fd::AsRawFd;

/// It is killed with this handle.
pub struct Step {
    pub pid: Pid,
    pub receiver: Receiver,
    /// Its place among the steps.
    index: usize,
    state: State,
}

enum State {
    Running,
    Failed(Status, String),
    Reaped,
}

impl Step {
    /// Forks a process that takes the step of which this is the code.
    pub fn start<R: Roles>(roles: &R, index: usize, code: &Code) -> io::Result<Step> {
        let (receiver, reporter) = channel()?;
        let kept = [code.file.as_raw_fd(), reporter.descriptor()];
        let pid = fork_child(
            &kept,
            || Ok(()),
            || {
                process::die_with_parent();
                process::call(c"step");
                signals::ignore_reopening();
                let taken = signals::unblock_for_compiler().map_err(Into::into);
                let taken = taken.and_then(|()| roles.take_step(index, &code.file, &code.note));
                ended(taken, &reporter)
            },
        )?;
        Ok(Step {
            pid,
            receiver,
            index,
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

    /// It was reaped: which step it was, or why the step has failed.
    pub fn ended(mut self, death: &Death, name: &str) -> Result<usize, (Status, String)> {
        match (std::mem::replace(&mut self.state, State::Reaped), death.end) {
            (State::Failed(status, text), _) => Err((status, text)),
            (_, End::Exited(0)) => Ok(self.index),
            _ => {
                let why = format!("step before the start `{name}`: it did not finish: {death}");
                Err((Status::Application, why))
            }
        }
    }

    pub fn index(&self) -> usize {
        self.index
    }
}

/// A process that is killed is reaped when it has ended, with all others.
impl Drop for Step {
    fn drop(&mut self) {
        if !matches!(self.state, State::Reaped) {
            process::signal(self.pid, Signal::SIGKILL);
        }
    }
}
