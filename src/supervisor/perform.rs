//! This file does what the policy says, and decides nothing.

use super::children::{Attempt, AttemptStage, Child, Generation, WorkerSlot};
use super::code_files::Code;
use super::event_loop::Supervisor;
use super::forker::NewWorker;
use super::handover::{Handover, LeftWorker};
use super::policy::{Action, Death, Event, Id};
use super::successor;
use super::{MountSockets, Roles, Sockets};
use crate::channel::LeftMount;
use crate::exit::{Status, status_of};
use crate::scoreboard::WorkerPhase;
use crate::sys::process::{self, End};
use crate::{info, log};
use anyhow::{Context, Result, anyhow};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The ends of compilers and zygotes that were killed are waited for this long before everything ends: they hold the
/// listening sockets too. Killing takes no time worth speaking of, save where a device does not answer.
pub(super) const UNKILLABLE: Duration = Duration::from_secs(10);

impl<R: Roles> Supervisor<R> {
    pub(super) fn perform(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Compile { number } => self.compile(number),
                Action::KillCompiler => self.end_attempt(),
                Action::DropCode { generation } => self.drop_code(generation),
                Action::Fork { id, generation } => self.fork(id, generation),
                Action::Adopt { generation } => self.adopt(generation),
                Action::Drain { id, retiring } => self.drain(id, retiring),
                Action::Kill { id } => self.kill(id),
                Action::Announce => {
                    self.roles.serving();
                    for line in self.roles.announcement() {
                        info!("{line}");
                    }
                }
                Action::Withdraw => self.forker.scoreboard.withdraw(),
                Action::CloseListeners => {
                    self.executes = false;
                    // They hold them too, and no worker is forked any more.
                    let versions = self.generations.iter_mut();
                    versions.for_each(|version| version.zygote = None);
                    self.roles.sockets().borrow_mut().close();
                    self.finish_jobs();
                }
                Action::AskSuccessor => self.ask(),
                Action::KillSuccessor => kill(self.successor.as_ref().map(|s| s.pid)),
                Action::Execute => {
                    self.executes = true;
                    self.finish_jobs();
                }
                Action::EndJobs => self.end_jobs(),
                Action::Log { level, text } => log::write(level, format_args!("{text}")),
                Action::Exit { failure } => {
                    self.attempt = None;
                    self.exporter.let_go();
                    self.generations.clear();
                    let now = self.now();
                    if failure.is_some() {
                        self.jobs.finish_by(now);
                    }
                    let until = self
                        .jobs
                        .deadline()
                        .unwrap_or(now)
                        .max(self.end_mounts(now));
                    self.exit = Some((failure, until + UNKILLABLE));
                }
            }
        }
    }

    fn compile(&mut self, number: u32) {
        let roles = match number {
            1 => Ok(self.roles.clone()),
            _ => self.roles.reload().map(Rc::new),
        };
        match roles {
            Ok(roles) if roles.mounts().is_empty() => self.begin_attempt(number, roles),
            Ok(roles) => {
                self.mounts.forget_deaths();
                self.mounts.reload(&roles.mounts());
                let stage = AttemptStage::Mounting;
                self.attempt = Some(Attempt {
                    number,
                    roles,
                    stage,
                });
                self.look_after_mounts();
            }
            Err(error) => self.cannot_begin(&error),
        }
    }

    /// Begins to make a version, whose mounts are there.
    pub(super) fn begin_attempt(&mut self, number: u32, roles: Rc<R>) {
        if !roles.has_application() {
            return match Code::nothing() {
                Ok(code) => self.made(number, roles, code, None),
                Err(error) => self.cannot_begin(&error.into()),
            };
        }
        let begun = match roles.pulls() {
            Some(limit) => {
                let puller = self.forker.puller(&*roles);
                let puller = puller.context("cannot start pulling the component");
                puller.map(|it| (AttemptStage::Pulling(it), Event::Pulling { limit }))
            }
            None => self.compiling(&*roles),
        };
        match begun {
            Ok((stage, event)) => self.goes_on_with(number, roles, stage, event),
            Err(error) => self.cannot_begin(&error),
        }
    }

    fn cannot_begin(&mut self, error: &anyhow::Error) {
        self.events.push_back(Event::CompileFailed {
            status: status_of(error),
            reason: format!("{error:#}"),
        });
    }

    /// Kills the process that makes the next version. Where it is only waited for what is mounted, that is over.
    fn end_attempt(&mut self) {
        let is_mounting = |it: &mut Attempt<R>| matches!(it.stage, AttemptStage::Mounting);
        if self.attempt.take_if(is_mounting).is_some() {
            self.events.push_back(Event::CompileFailed {
                status: Status::Stopped,
                reason: "it was not waited for what is mounted".to_owned(),
            });
        }
        kill(self.attempt.as_ref().and_then(|it| it.stage.pid()));
    }

    /// Ends what is mounted, and says until when to wait for that: nobody asks it any more.
    fn end_mounts(&mut self, now: Instant) -> Instant {
        let is_over = self.mounts.are_gone();
        self.mounts.end();
        match is_over {
            true => now,
            false => now + self.roles.settings().graceful_shutdown,
        }
    }

    /// Forks the compiler of a version.
    pub(super) fn compiling(&self, roles: &R) -> Result<(AttemptStage, Event)> {
        let compiler = self.forker.compiler(roles);
        let compiler = compiler.context("cannot start the compiler")?;
        let limits = roles.settings().compile;
        Ok((
            AttemptStage::Compiling(compiler),
            Event::Compiling { limits },
        ))
    }

    fn fork(&mut self, id: Id, number: u32) {
        let forked = self.new_worker(number).and_then(|new_worker| {
            let asked = self.ask_zygote(id, number, new_worker);
            asked.or_else(|new_worker| self.fork_directly(id, number, new_worker))
        });
        if let Err(error) = forked {
            self.fork_failed(id, &error);
        }
    }

    fn new_worker(&self, number: u32) -> Result<NewWorker> {
        let settings = self.generation(number)?.roles.settings();
        let jitter = process::random() % settings.limit_max_requests_jitter.saturating_add(1);
        let limit = settings.limit_max_requests;
        let limit = limit.map(|limit| limit.saturating_add(jitter));
        Ok(self.forker.new_worker(number, limit)?)
    }

    pub(super) fn fork_directly(
        &mut self,
        id: Id,
        number: u32,
        new_worker: NewWorker,
    ) -> Result<()> {
        let child = self
            .forker
            .worker(id, self.generation(number)?, new_worker)?;
        self.policy.forked(id, child.pid.as_raw());
        self.children.push(child);
        Ok(())
    }

    fn generation(&self, number: u32) -> Result<&Generation<R>> {
        let mut generations = self.generations.iter();
        let generation = generations.find(|generation| generation.number == number);
        generation.context("its version is gone")
    }

    /// Tells the policy of a worker that could not be forked, as of one that ended at once.
    pub(super) fn fork_failed(&mut self, id: Id, error: &anyhow::Error) {
        self.events.push_back(Event::LastWords {
            id,
            status: Status::Internal,
            text: format!("cannot start a worker: {error:#}"),
        });
        let (end, memory) = (End::Exited(1), false);
        let death = Death { end, memory };
        self.events.push_back(Event::Ended { id, death });
    }

    /// Has reloads begin with this version from here on.
    fn adopt(&mut self, number: u32) {
        let mut generations = self.generations.iter();
        if let Some(generation) = generations.find(|generation| generation.number == number) {
            self.roles = generation.roles.clone();
            self.describe(generation);
            self.watch();
            self.adopt_jobs();
        }
    }

    fn kill(&mut self, id: Id) {
        if !self.cancel_pending(id) {
            kill(self.child(id).map(|child| child.pid));
        }
    }

    fn drain(&self, id: Id, retiring: bool) {
        let Some(child) = self.child(id) else { return };
        // Its siblings are to see it before it does.
        self.forker.enters(&child.slot, WorkerPhase::Draining);
        let signal = match retiring {
            true => Signal::SIGHUP,
            false => Signal::SIGTERM,
        };
        process::signal(child.pid, signal);
    }

    fn child(&self, id: Id) -> Option<&Child> {
        self.children.iter().find(|child| child.id == id)
    }

    fn ask(&mut self) {
        let asked = self
            .handover()
            .and_then(|handover| Ok(successor::ask(&self.executable, &handover)?));
        match asked {
            Ok(successor) => self.successor = Some(successor),
            Err(error) => self.stays(&error),
        }
    }

    /// Becomes the new executable. Where this returns, that has failed.
    pub(super) fn execute(&mut self) {
        let error = match self.handover() {
            Ok(handover) => successor::become_it(&self.executable, &handover).into(),
            Err(error) => error,
        };
        self.stays(&error);
    }

    fn stays(&mut self, error: &anyhow::Error) {
        let now = self.now();
        self.jobs.go_on(now);
        let why = format!("`{}`: {error:#}", self.executable.display());
        self.events.push_back(Event::Answered(Err(why)));
    }

    /// Gives what the new executable is left.
    fn handover(&mut self) -> Result<Handover> {
        let now = self.now();
        let (served, wanted, workers) = self.policy.handover(now);
        let generation = self.generation(served)?;
        let workers = workers.into_iter().filter_map(|worker| {
            let child = self.child(worker.id)?;
            let slot = match &child.slot {
                WorkerSlot::Own(slot) => Ok(slot.index()),
                WorkerSlot::Predecessor(_) => Err(anyhow!(
                    "workers of the executable before this one have not left yet"
                )),
            };
            let receiver = child.receiver.as_ref();
            let receiver = receiver.map(|receiver| receiver.descriptor().as_raw_fd());
            Some(slot.map(|slot| LeftWorker {
                slot,
                receiver,
                worker,
            }))
        });
        let (watched, held) = self.forker.lifeline();
        Ok(Handover {
            scoreboard: self.forker.scoreboard.descriptor().as_raw_fd(),
            layout: self.forker.scoreboard.layout().clone(),
            lifeline: (watched.as_raw_fd(), held.as_raw_fd()),
            listeners: self.roles.sockets().borrow().left(),
            admin: self.roles.admin_sockets().borrow().left(),
            admin_process: self.admin.pid().map(Pid::as_raw),
            exporter_process: self.exporter.pid().map(Pid::as_raw),
            log_writers: self.log_writer.left(),
            mounts: self.left_mounts(),
            served,
            code: generation.code.file.as_raw_fd(),
            code_info: generation.code.info,
            wanted,
            workers: workers.collect::<Result<_>>()?,
            ..Handover::nothing()
        })
    }
}

impl<R: Roles> Supervisor<R> {
    /// Lists what is mounted, with the processes that serve it.
    fn left_mounts(&self) -> Vec<LeftMount> {
        let mut left = self.roles.mount_sockets().borrow().left();
        for mount in &mut left {
            mount.process = self.mounts.process(&mount.name);
        }
        left
    }
}

fn kill(pid: Option<nix::unistd::Pid>) {
    if let Some(pid) = pid {
        process::signal(pid, Signal::SIGKILL);
    }
}
