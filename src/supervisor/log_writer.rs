//! The supervisor keeps the process that writes logs to files and to the system's log: it is forked where there are any,
//! replaced when it has ended, handed what was opened again, and waited for at the end.

use super::admin::PAUSE;
use super::event_loop::Supervisor;
use super::forker::fork_child;
use super::handover::LeftLogWriter;
use super::{ChildTask, Roles};
use crate::exit::Status;
use crate::log::pipes;
use crate::scoreboard::Scoreboard;
use crate::sys::{channel, clock, process, signals};
use crate::{error, warning};
use nix::poll::{PollFd, PollTimeout, poll};
use nix::unistd::Pid;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// What is left at the end may take this long to be written.
const LAST: Duration = Duration::from_secs(5);

/// The supervisor looks this often whether the log process has ended.
const GLANCE: u16 = 5;

/// A `LogWriter` is what the supervisor keeps of the log process.
#[derive(Default)]
pub struct LogWriter {
    running: Option<LogWriterProcess>,
    /// These write what workers of the executables before this one log, until those have ended.
    before: Vec<LogWriterProcess>,
    /// Another process may be forked at this time, in milliseconds of `sys::clock`.
    next_ms: u64,
}

struct LogWriterProcess {
    pid: Pid,
    orders: OwnedFd,
    /// The process writes these logs, in this order.
    logs: Vec<String>,
}

impl LogWriter {
    /// Takes over the processes that an executable before this one has left.
    pub fn inherit(left: Vec<(OwnedFd, LeftLogWriter)>) -> LogWriter {
        let left = left.into_iter().map(|(orders, left)| LogWriterProcess {
            pid: Pid::from_raw(left.process),
            orders,
            logs: left.logs,
        });
        LogWriter {
            before: left.filter(|it| process::is_child(it.pid)).collect(),
            ..LogWriter::default()
        }
    }

    /// Gives what the next executable is left.
    pub fn left(&self) -> Vec<LeftLogWriter> {
        let all = self.all().map(|it| LeftLogWriter {
            process: it.pid.as_raw(),
            orders: it.orders.as_raw_fd(),
            logs: it.logs.clone(),
        });
        all.collect()
    }

    fn all(&self) -> impl Iterator<Item = &LogWriterProcess> {
        self.running.iter().chain(&self.before)
    }

    /// Says whether this process writes logs.
    pub fn is(&self, pid: Pid) -> bool {
        self.all().any(|it| it.pid == pid)
    }

    /// Notes that a process was reaped, and says whether it was the one that writes this executable's logs.
    pub fn ended(&mut self, pid: Pid) -> bool {
        self.before.retain(|it| it.pid != pid);
        self.running.take_if(|running| running.pid == pid).is_some()
    }

    /// Hands over what was opened again to all who write to it.
    fn hand_over(&self, opened: Vec<(usize, io::Result<OwnedFd>)>) {
        if opened.is_empty() {
            return;
        }
        let names = pipes::names();
        for (index, target) in opened {
            let sent = target.and_then(|target| self.send(names.get(index), &target));
            if let Err(why) = sent {
                error!("a log that was opened again cannot be handed over: {why}");
            }
        }
    }

    fn send(&self, name: Option<&String>, target: &OwnedFd) -> io::Result<()> {
        for writer in self.all() {
            let logs = writer.logs.iter().enumerate();
            for (index, _) in logs.filter(|(_, log)| Some(*log) == name) {
                let sent = pipes::send(&writer.orders, index, target);
                // Those before end by themselves, and need not be reaped yet.
                if self.running.as_ref().is_some_and(|it| it.pid == writer.pid) {
                    sent?;
                }
            }
        }
        Ok(())
    }

    /// Has it write what there is, and end.
    pub fn finish(&mut self) {
        let Some(LogWriterProcess { pid, orders, .. }) = self.running.take() else {
            return;
        };
        let deadline = Instant::now() + LAST;
        let told = pipes::send_end(&orders).is_ok();
        while told && Instant::now() < deadline {
            if process::ended(pid).is_some() {
                return;
            }
            let mut polled: [PollFd<'_>; 0] = [];
            let _ = poll(&mut polled, PollTimeout::from(GLANCE));
        }
        process::kill_and_reap(pid);
    }
}

impl<R: Roles> Supervisor<R> {
    /// Has a process write the logs where there are any, and hands it the system's log where that was opened anew.
    pub(super) fn look_after_log(&mut self) {
        // Who is mounted writes to those of its parent.
        if !pipes::any() || self.exit.is_some() || self.roles.mounted_at().is_some() {
            return;
        }
        let now = clock::now_ms();
        if self.log_writer.running.is_none() && now >= self.log_writer.next_ms {
            self.log_writer.next_ms = now + PAUSE.as_millis() as u64;
            match fork(&*self.roles, &self.forker.scoreboard) {
                Ok(running) => self.log_writer.running = Some(running),
                Err(error) => warning!("cannot start the process that writes the log: {error}"),
            }
        }
        self.log_writer.hand_over(pipes::reopened(false));
    }

    /// Opens every log again: their files may have other names by now.
    pub(super) fn reopen_logs(&mut self) {
        self.log_writer.hand_over(pipes::reopened(true));
    }
}

fn fork<R: Roles>(roles: &R, scoreboard: &Scoreboard) -> io::Result<LogWriterProcess> {
    let (orders, taken) = channel::downward()?;
    let mut kept: Vec<RawFd> = pipes::descriptors();
    kept.push(taken.as_raw_fd());
    let pid = fork_child(
        &kept,
        || scoreboard.give_up(),
        || {
            process::call(c"log");
            signals::ignore_reopening();
            match roles.run(ChildTask::WriteLogs(taken)) {
                Ok(()) => Status::Stopped,
                Err(why) => {
                    error!("the logs cannot be written: {why:#}");
                    Status::Internal
                }
            }
        },
    )?;
    let logs = pipes::names();
    Ok(LogWriterProcess { pid, orders, logs })
}
