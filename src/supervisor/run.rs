//! The supervisor's loop: it turns what the system says into events, asks the policy, and does what
//! the policy says. Every system call of the supervisor is made from here.

use super::children::{Child, Compiler, Generation, Nursery, messages};
use super::policy::{Action, Event, Id, Policy, Vital};
use super::{Roles, most_workers};
use crate::channel::Message;
use crate::exit::{Exit, Status};
use crate::scoreboard::{Phase, Scoreboard};
use crate::sys::clock;
use crate::sys::process::{self, End};
use crate::sys::signals;
use crate::sys::watch::Watch;
use crate::{info, log, warning};
use anyhow::{Context, Result, anyhow};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::signalfd::SignalFd;
use nix::unistd::Pid;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How long a changed file must be left alone before it counts as written.
const SETTLED: Duration = Duration::from_millis(100);

/// Serves until it is told to stop. An error is the reason why the server could not go on.
pub fn run<R: Roles>(roles: R, scoreboard: Scoreboard) -> Result<()> {
    info!("Started parent process [{}]", std::process::id());
    process::adopt_orphans();
    let settings = roles.settings().clone();
    let most = most_workers(&settings);
    let (policy, actions) = Policy::new(settings, most, Instant::now(), Box::new(process::random));
    let mut supervisor = Supervisor {
        watch: watch(&roles)?,
        changed: None,
        roles: Rc::new(roles),
        policy,
        signals: signals::descriptor().context("cannot receive signals")?,
        nursery: Nursery::new(scoreboard).context("cannot watch over workers")?,
        children: Vec::new(),
        compiler: None,
        generations: Vec::new(),
        memory_kills: process::memory_kills(),
        next_beat: Instant::now(),
        exit: None,
    };
    supervisor.perform(actions);
    let failure = supervisor.run()?;
    if let Some((status, reason)) = failure {
        return Err(anyhow!(reason)).exits(status);
    }
    info!("Stopping parent process [{}]", std::process::id());
    Ok(())
}

fn watch<R: Roles>(roles: &R) -> Result<Option<Watch>> {
    if !roles.settings().reload {
        return Ok(None);
    }
    let watch =
        Watch::new(&roles.watched()).context("cannot watch the component for changes (--reload)");
    Ok(Some(watch.exits(Status::Usage)?))
}

type Failure = Option<(Status, String)>;

struct Supervisor<R> {
    /// What a reload begins with.
    roles: Rc<R>,
    policy: Policy,
    signals: SignalFd,
    watch: Option<Watch>,
    /// When a watched file changed last, until that was acted upon.
    changed: Option<Instant>,
    nursery: Nursery,
    children: Vec<Child>,
    compiler: Option<Compiler<R>>,
    /// The versions that are served or tried.
    generations: Vec<Generation<R>>,
    memory_kills: u64,
    next_beat: Instant,
    exit: Option<Failure>,
}

impl<R: Roles> Supervisor<R> {
    fn run(&mut self) -> Result<Failure> {
        loop {
            if let Some(failure) = self.exit.take() {
                return Ok(failure);
            }
            self.wait()?;
            self.read_messages();
            self.read_signals()?;
            self.reap();
            self.look_after_time();
        }
    }

    /// Sleeps until there is something to do.
    fn wait(&self) -> Result<()> {
        let mut wake = self.policy.wakes_at(Instant::now()).min(self.next_beat);
        if let Some(changed) = self.changed {
            wake = wake.min(changed + SETTLED);
        }
        let left = wake.saturating_duration_since(Instant::now()).as_millis() + 1;
        let receivers = self.children.iter().map(|child| &child.receiver);
        let receivers = receivers.chain(self.compiler.iter().map(|compiler| &compiler.receiver));
        let descriptors = receivers.map(|receiver| receiver.descriptor());
        let descriptors = descriptors.chain(self.watch.iter().map(Watch::descriptor));
        let mut polled: Vec<PollFd<'_>> = descriptors
            .chain([self.signals.as_fd()])
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut polled, timeout) {
            Ok(_) | Err(nix::Error::EINTR) => Ok(()),
            Err(error) => Err(error).context("cannot wait for events"),
        }
    }

    fn happened(&mut self, event: Event) {
        let actions = self.policy.on(event, Instant::now());
        self.perform(actions);
    }

    fn read_messages(&mut self) {
        let mut events = Vec::new();
        for child in &self.children {
            events.extend(
                messages(&child.receiver).filter_map(|message| of_worker(child.id, message)),
            );
        }
        for event in events {
            if let Event::Ready(id) = event {
                self.enter(id, Phase::Ready);
            }
            self.happened(event);
        }
        if let Some(compiler) = &mut self.compiler {
            for message in messages(&compiler.receiver).collect::<Vec<_>>() {
                match message {
                    Message::Compiled { code, note } => compiler.made = Some((code, note)),
                    Message::Failed { status, text } => compiler.failed = Some((status, text)),
                    Message::Ready | Message::Spent => {}
                }
            }
        }
    }

    fn read_signals(&mut self) -> Result<()> {
        while let Some(info) = self.signals.read_signal().context("cannot read signals")? {
            let number = info.ssi_signo.cast_signed();
            let Ok(signal) = Signal::try_from(number) else {
                continue;
            };
            match signal {
                Signal::SIGTERM | Signal::SIGINT => self.happened(Event::Stop),
                Signal::SIGQUIT => self.happened(Event::Quit),
                Signal::SIGHUP => self.happened(Event::Reload),
                Signal::SIGTTIN => self.happened(Event::More),
                Signal::SIGTTOU => self.happened(Event::Fewer),
                Signal::SIGUSR1 => self.signal_all(Signal::SIGUSR1),
                Signal::SIGUSR2 => warning!("Replacing the executable (USR2) is not supported yet"),
                _ => {}
            }
        }
        Ok(())
    }

    fn signal_all(&self, signal: Signal) {
        for child in &self.children {
            process::signal(child.pid, signal);
        }
    }

    /// Takes note of every child that has ended. A child's messages are read before its end is.
    fn reap(&mut self) {
        while let Some((pid, end)) = process::reap() {
            self.read_messages();
            if let Some(index) = self.children.iter().position(|child| child.pid == pid) {
                let child = self.children.swap_remove(index);
                self.nursery.scoreboard.slot(child.slot).enter(Phase::Free);
                let memory = end == End::Killed(Signal::SIGKILL) && self.was_for_memory();
                self.happened(Event::Ended {
                    id: child.id,
                    end,
                    memory,
                });
                self.forget_generations();
            } else if self
                .compiler
                .as_ref()
                .is_some_and(|compiler| compiler.pid == pid)
            {
                self.compiler_ended(end);
            }
        }
    }

    fn was_for_memory(&mut self) -> bool {
        let before = std::mem::replace(&mut self.memory_kills, process::memory_kills());
        self.memory_kills > before
    }

    fn compiler_ended(&mut self, end: End) {
        let Some(compiler) = self.compiler.take() else {
            return;
        };
        let event = match (compiler.made, compiler.failed, end) {
            (Some((code, note)), _, End::Exited(0)) => {
                self.policy.reconfigure(compiler.roles.settings().clone());
                self.roles = compiler.roles.clone();
                self.generations.push(Generation {
                    number: compiler.number,
                    roles: compiler.roles,
                    code,
                    note,
                });
                Event::Compiled
            }
            (_, Some((status, reason)), _) => Event::CompileFailed { status, reason },
            (_, None, end) => Event::CompileFailed {
                status: Status::Application,
                reason: format!("the compiler did not finish: {end}"),
            },
        };
        self.happened(event);
    }

    /// Versions that no worker has, and none will, are closed.
    fn forget_generations(&mut self) {
        let newest = self
            .generations
            .last()
            .map_or(0, |generation| generation.number);
        let serving = self.policy.wanted_generation();
        let children = &self.children;
        self.generations.retain(|generation| {
            let number = generation.number;
            number == newest
                || number == serving
                || children.iter().any(|child| child.generation == number)
        });
    }

    fn look_after_time(&mut self) {
        let now = Instant::now();
        if self.watch.as_ref().is_some_and(Watch::changed) {
            self.changed = Some(now);
        }
        if self.changed.is_some_and(|changed| changed + SETTLED <= now) {
            self.changed = None;
            self.happened(Event::Changed);
        }
        if now >= self.next_beat {
            self.next_beat = now + self.policy.beat_period();
            let vitals = self.vitals();
            self.happened(Event::Beat(vitals));
        } else {
            self.happened(Event::Time);
        }
    }

    fn vitals(&self) -> Vec<Vital> {
        let now = clock::now_ms();
        let watches_memory = self.roles.settings().max_worker_rss.is_some();
        let vital = |child: &Child| {
            let slot = self.nursery.scoreboard.slot(child.slot);
            let resident = watches_memory
                .then(|| process::resident(child.pid))
                .flatten();
            Vital {
                id: child.id,
                silent: Duration::from_millis(now.saturating_sub(slot.heartbeat_ms())),
                resident: resident.unwrap_or(0),
                answering: slot.answered_last(),
            }
        };
        self.children.iter().map(vital).collect()
    }

    fn perform(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Compile { number } => self.compile(number),
                Action::KillCompiler => self.kill_compiler(),
                Action::Fork { id, generation } => self.fork(id, generation),
                Action::Drain { id, retiring } => {
                    self.enter(id, Phase::Draining);
                    self.signal(
                        id,
                        if retiring {
                            Signal::SIGHUP
                        } else {
                            Signal::SIGTERM
                        },
                    );
                }
                Action::Kill { id } => self.signal(id, Signal::SIGKILL),
                Action::Announce => {
                    for address in self.roles.addresses() {
                        info!("wasmserve running on {address} (Press CTRL+C to quit)");
                    }
                }
                Action::CloseListeners => self.roles.close(),
                Action::Log { level, text } => log::write(level, format_args!("{text}")),
                Action::Exit { failure } => self.exit = Some(failure),
            }
        }
    }

    fn compile(&mut self, number: u32) {
        let roles = match number {
            1 => Ok(self.roles.clone()),
            _ => self.roles.reload().map(Rc::new),
        };
        let compiler = roles.and_then(|roles| {
            let compiler = self.nursery.compiler(roles, number);
            compiler.context("cannot start the compiler")
        });
        match compiler {
            Ok(compiler) => self.compiler = Some(compiler),
            Err(error) => self.happened(Event::CompileFailed {
                status: crate::exit::status_of(&error),
                reason: format!("{error:#}"),
            }),
        }
    }

    fn kill_compiler(&self) {
        if let Some(compiler) = &self.compiler {
            process::signal(compiler.pid, Signal::SIGKILL);
        }
    }

    fn fork(&mut self, id: Id, number: u32) {
        let generation = self
            .generations
            .iter()
            .find(|generation| generation.number == number);
        let forked = generation
            .context("its version is gone")
            .and_then(|generation| {
                let settings = generation.roles.settings();
                let jitter = process::random() % (settings.limit_max_requests_jitter + 1);
                let limit = settings.limit_max_requests.map(|limit| limit + jitter);
                Ok(self.nursery.worker(id, generation, limit)?)
            });
        match forked {
            Ok(child) => {
                self.policy.forked(id, child.pid.as_raw());
                self.children.push(child);
            }
            Err(error) => {
                let text = format!("cannot start a worker: {error:#}");
                self.happened(Event::LastWords {
                    id,
                    status: Status::Internal,
                    text,
                });
                self.happened(Event::Ended {
                    id,
                    end: End::Exited(1),
                    memory: false,
                });
            }
        }
    }

    fn child(&self, id: Id) -> Option<&Child> {
        self.children.iter().find(|child| child.id == id)
    }

    fn enter(&self, id: Id, phase: Phase) {
        if let Some(child) = self.child(id) {
            self.nursery.scoreboard.slot(child.slot).enter(phase);
        }
    }

    fn signal(&self, id: Id, signal: Signal) {
        let pid: Option<Pid> = self.child(id).map(|child| child.pid);
        if let Some(pid) = pid {
            process::signal(pid, signal);
        }
    }
}

fn of_worker(id: Id, message: Message) -> Option<Event> {
    match message {
        Message::Ready => Some(Event::Ready(id)),
        Message::Spent => Some(Event::Spent(id)),
        Message::Failed { status, text } => Some(Event::LastWords { id, status, text }),
        Message::Compiled { .. } => None,
    }
}
