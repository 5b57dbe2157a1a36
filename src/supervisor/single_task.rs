//! A `SingleTask` process does one thing for a version before there are workers, and says why where it fails. It ends
//! with the supervisor.

use super::forker::{ended, fork_child};
use super::policy::Death;
use crate::channel::{ChildMessage, Receiver, channel};
use crate::exit::Status;
use crate::scoreboard::Scoreboard;
use crate::sys::process::{self, End};
use crate::sys::signals;
use anyhow::Result;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::ffi::CStr;
use std::io;
use std::os::fd::RawFd;

/// The process is killed with this handle.
pub struct SingleTask {
    pub pid: Pid,
    pub receiver: Receiver,
    state: TaskState,
}

enum TaskState {
    Running,
    Failed(Status, String),
    Reaped,
}

impl SingleTask {
    /// Forks a process of this name that keeps these descriptors.
    pub fn start(
        name: &CStr,
        scoreboard: &Scoreboard,
        kept: &[RawFd],
        task: impl FnOnce() -> Result<()>,
    ) -> io::Result<SingleTask> {
        let (receiver, reporter) = channel()?;
        let kept = [kept, &[reporter.descriptor()]].concat();
        let pid = fork_child(
            &kept,
            || scoreboard.give_up(),
            || {
                process::die_with_parent();
                process::call(name);
                signals::ignore_reopening();
                let unblocked = signals::unblock_for_compiler().map_err(Into::into);
                ended(unblocked.and_then(|()| task()), &reporter)
            },
        )?;
        Ok(SingleTask {
            pid,
            receiver,
            state: TaskState::Running,
        })
    }

    /// Takes note of what it said.
    pub fn listen(&mut self) {
        while let Some(message) = self.receiver.receive() {
            match (message, &self.state) {
                (Ok(ChildMessage::Failed { status, text }), TaskState::Running) => {
                    self.state = TaskState::Failed(status, text);
                }
                (Ok(_), _) => {}
                (Err(_), _) => process::signal(self.pid, Signal::SIGKILL),
            }
        }
    }

    /// Returns why a process that was reaped has failed, in its own words, or else beginning with `what` did not end.
    pub fn ended(mut self, death: &Death, what: &str) -> Result<(), (Status, String)> {
        match (
            std::mem::replace(&mut self.state, TaskState::Reaped),
            death.end,
        ) {
            (TaskState::Failed(status, text), _) => Err((status, text)),
            (_, End::Exited(0)) => Ok(()),
            _ => Err((Status::Application, format!("{what}: {death}"))),
        }
    }
}

/// Kills the process, which is reaped when it has ended, with all others.
impl Drop for SingleTask {
    fn drop(&mut self) {
        if !matches!(self.state, TaskState::Reaped) {
            process::signal(self.pid, Signal::SIGKILL);
        }
    }
}
