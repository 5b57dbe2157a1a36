//! A `Step` is the process that takes one step before the start: it is kept to what workers are kept to.

use super::code_files::Code;
use super::policy::Death;
use super::single_task::SingleTask;
use super::{ChildTask, Roles};
use crate::exit::Status;
use crate::scoreboard::Scoreboard;
use std::io;
use std::os::fd::AsRawFd;

/// The process is killed with this handle.
pub struct Step {
    pub process: SingleTask,
    /// The step has this place among the steps.
    index: usize,
}

impl Step {
    /// Forks a process that takes the step of which this is the code.
    pub fn start<R: Roles>(
        roles: &R,
        scoreboard: &Scoreboard,
        index: usize,
        code: &Code,
    ) -> io::Result<Step> {
        let take = || roles.run(ChildTask::Step { index, code });
        let process = SingleTask::start(c"step", scoreboard, &[code.file.as_raw_fd()], take)?;
        Ok(Step { process, index })
    }

    /// Returns which step a process that was reaped took, or why the step has failed.
    pub fn ended(self, death: &Death, name: &str) -> Result<usize, (Status, String)> {
        let what = format!("step before the start `{name}`: it did not finish");
        self.process.ended(death, &what)?;
        Ok(self.index)
    }

    pub fn index(&self) -> usize {
        self.index
    }
}
