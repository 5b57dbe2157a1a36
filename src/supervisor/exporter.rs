//! The supervisor keeps the exporter here: it is there as long as the version that is served wants spans
//! exported, replaced when it has ended or when another version wants it otherwise. It ends when it is let go of, and
//! may take a moment for that.

use super::admin::PAUSE;
use super::event_loop::Supervisor;
use super::forker::{fork_child, told};
use super::{ChildTask, Roles};
use crate::scoreboard::Scoreboard;
use crate::sys::channel::pipe;
use crate::sys::{clock, process};
use crate::warning;
use nix::unistd::Pid;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;

/// An `ExporterContext` is what the exporter is given.
pub struct ExporterContext {
    pub scoreboard: Rc<Scoreboard>,
    /// The lifeline comes to its end when the exporter is to end.
    pub lifeline: OwnedFd,
}

/// An `Exporter` is what the supervisor keeps of that process.
#[derive(Default)]
pub struct Exporter {
    process: Option<ExporterProcess>,
    /// Another process may be forked at this time, in milliseconds of `sys::clock`.
    next_ms: u64,
}

struct ExporterProcess {
    pid: Pid,
    /// The exporter is to do this; none once it is to end.
    work: Option<ExporterTask>,
}

struct ExporterTask {
    /// Versions of the configuration that want something else have another number.
    settings: u64,
    /// The exporter ends when this is closed.
    _held: OwnedFd,
}

impl Exporter {
    /// Takes over the process that the executable before this one has let go of.
    pub fn inherit(pid: Option<Pid>) -> Exporter {
        Exporter {
            process: pid.map(|pid| ExporterProcess { pid, work: None }),
            next_ms: 0,
        }
    }

    pub fn pid(&self) -> Option<Pid> {
        self.process.as_ref().map(|running| running.pid)
    }

    /// Notes that a process was reaped, and says whether it was this one.
    pub fn ended(&mut self, pid: Pid) -> bool {
        self.process.take_if(|running| running.pid == pid).is_some()
    }

    /// Lets it send what it has, and end.
    pub fn let_go(&mut self) {
        if let Some(running) = &mut self.process {
            running.work = None;
        }
    }

    /// Says whether no process is left.
    pub fn is_gone(&self) -> bool {
        self.process.is_none()
    }

    /// Ends the process where there is one still, and reaps it.
    pub fn finish(&mut self) {
        if let Some(running) = self.process.take() {
            process::kill_and_reap(running.pid);
        }
    }
}

impl<R: Roles> Supervisor<R> {
    /// Has an exporter where one is needed, and none that does what is not wanted any more.
    pub(super) fn look_after_exporter(&mut self) {
        let wanted = match self.exit {
            None => self.roles.exporter(),
            Some(_) => None,
        };
        if let Some(running) = &mut self.exporter.process {
            running.work.take_if(|work| Some(work.settings) != wanted);
            return;
        }
        let now = clock::now_ms();
        let Some(settings) = wanted.filter(|_| now >= self.exporter.next_ms) else {
            return;
        };
        self.exporter.next_ms = now + PAUSE.as_millis() as u64;
        match fork(&*self.roles, settings, &self.forker.scoreboard) {
            Ok(running) => self.exporter.process = Some(running),
            Err(error) => warning!("cannot start the exporter: {error}"),
        }
    }
}

fn fork<R: Roles>(
    roles: &R,
    settings: u64,
    scoreboard: &Rc<Scoreboard>,
) -> io::Result<ExporterProcess> {
    let (lifeline, held) = pipe()?;
    let restrict = || {
        scoreboard.give_up()?;
        scoreboard.keep_exporter()
    };
    let pid = fork_child(&[lifeline.as_raw_fd()], restrict, || {
        process::die_with_parent();
        process::call(c"exporter");
        let context = ExporterContext {
            scoreboard: scoreboard.clone(),
            lifeline,
        };
        told(roles.run(ChildTask::Export(context)), "exporter")
    })?;
    let work = ExporterTask {
        settings,
        _held: held,
    };
    Ok(ExporterProcess {
        pid,
        work: Some(work),
    })
}
