//! `Jobs` has the processes of periodic jobs; the schedule says which of them are due (`policy/schedule.rs`).

use super::Roles;
use super::code_files::Code;
use super::event_loop::Supervisor;
use super::job_history::JobHistory;
use super::perform::UNKILLABLE;
use super::policy::{Death, Schedule};
use super::single_task::SingleTask;
use crate::scoreboard::Table;
use crate::sys::{clock, process};
use crate::{error, info, log, warning};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// `Jobs` are those of the version that is served, and the processes of earlier ones that have not ended yet.
#[derive(Default)]
pub struct Jobs {
    schedule: Schedule,
    running: Vec<JobProcess>,
    history: JobHistory,
}

struct JobProcess {
    path: PathBuf,
    task: SingleTask,
    since: Instant,
}

impl Jobs {
    /// Says whether no process is left.
    pub fn is_idle(&self) -> bool {
        self.running.is_empty()
    }

    pub fn wakes_at(&self) -> Option<Instant> {
        self.schedule.wakes_at()
    }

    /// Runs nothing more, and waits until then for what runs.
    pub fn finish_by(&mut self, deadline: Instant) {
        self.schedule.finish_by(deadline);
    }

    /// Goes on as before, since the server does.
    pub fn go_on(&mut self, now: Instant) {
        self.schedule.go_on(now);
    }

    /// Says until when what runs may go on.
    pub fn deadline(&self) -> Option<Instant> {
        self.schedule.deadline()
    }

    /// Hears what the processes have to say.
    pub fn listen(&mut self) {
        self.running.iter_mut().for_each(|it| it.task.listen());
    }

    /// Notes that a process was reaped, and says whether it was one of these.
    pub fn ended(&mut self, pid: Pid, death: &Death) -> bool {
        let mut running = self.running.iter();
        let Some(index) = running.position(|running| running.task.pid == pid) else {
            return false;
        };
        let JobProcess { path, task, since } = self.running.swap_remove(index);
        let what = format!("job `{}`: it did not finish", shown(&path));
        let ended = task.ended(death, &what);
        let failure = match (self.schedule.ended(&path), ended) {
            (Some(why), _) => {
                error!("job `{}`: {why}", shown(&path));
                Some(why)
            }
            (None, Err((_, why))) => {
                error!("{why}");
                Some(why)
            }
            (None, Ok(())) => None,
        };
        self.history
            .ended(&path, failure.as_deref(), clock::unix_ms(), since.elapsed());
        true
    }

    /// Tells the scoreboard how the jobs are.
    pub fn publish(&mut self, table: &Table) {
        self.history.publish(table);
    }
}

impl<R: Roles> Supervisor<R> {
    /// Takes over what the version that is served from now on wants to be run.
    pub(super) fn adopt_jobs(&mut self) {
        let now = self.now();
        let settings = self.roles.settings();
        self.jobs
            .schedule
            .adopt(&settings.jobs, settings.job_time, now);
        self.jobs.history.adopt(&settings.jobs);
    }

    /// Begins nothing more: what runs has as long as requests in flight have.
    pub(super) fn finish_jobs(&mut self) {
        let now = self.now();
        let time = match self.policy.kills() {
            true => Duration::ZERO,
            false => self.roles.settings().graceful_shutdown,
        };
        self.jobs.finish_by(now + time);
    }

    /// Waits no longer for what runs, although the workers have left before.
    pub(super) fn end_jobs(&mut self) {
        self.mounts.quit();
        if self.jobs.is_idle() {
            return;
        }
        warning!("Asked to stop again: not waiting for jobs");
        let now = self.now();
        self.jobs.finish_by(now);
        if let Some((_, until)) = &mut self.exit {
            *until = (*until).min(now + UNKILLABLE);
        }
    }

    /// Runs what is due, and ends what has taken too long.
    pub(super) fn look_after_jobs(&mut self) {
        let now = self.now();
        for path in self.jobs.schedule.overdue(now) {
            let running = self.jobs.running.iter();
            for running in running.filter(|running| running.path == path) {
                process::signal(running.task.pid, Signal::SIGKILL);
            }
        }
        for due in self.jobs.schedule.due(now) {
            let shown = shown(&due.path);
            if due.is_running {
                info!("`{shown}` still runs: it is not run again meanwhile");
                self.jobs.history.left_out(&due.path);
                continue;
            }
            let at_ms = clock::unix_ms();
            let Some((index, code)) = self.code_of_job(&due.path) else {
                let why = "its code is not there; the next reload makes it";
                warning!("job `{shown}`: {why}");
                self.jobs
                    .history
                    .ended(&due.path, Some(why), at_ms, Duration::ZERO);
                continue;
            };
            match self.forker.job(&*self.roles, index, &code) {
                Ok(task) => {
                    self.jobs.schedule.started(&due.path, now);
                    let pid = task.pid.as_raw();
                    self.jobs.history.began(&due.path, pid, at_ms);
                    let (path, since) = (due.path, Instant::now());
                    self.jobs.running.push(JobProcess { path, task, since });
                }
                Err(error) => {
                    let why = format!("it cannot be started: {error}");
                    error!("job `{shown}`: {why}");
                    self.jobs
                        .history
                        .ended(&due.path, Some(&why), at_ms, Duration::ZERO);
                }
            }
        }
    }

    /// Returns the code of a job of the version that is served, and its place among them.
    fn code_of_job(&self, path: &Path) -> Option<(usize, Code)> {
        let mut jobs = self.roles.settings().jobs.iter();
        let index = jobs.position(|job| job.path == path)?;
        let mut generations = self.generations.iter();
        let served = generations.find(|it| Rc::ptr_eq(&it.roles, &self.roles))?;
        let code = served.code.jobs.get(index)?.try_clone();
        Some((index, code.ok()?))
    }
}

fn shown(path: &Path) -> String {
    log::escape(&path.display().to_string()).to_string()
}
