//! This file is the supervisor's loop: it turns what the system says into events, asks the policy, and has done what
//! the policy says (`perform`). Every system call of the supervisor is made from these two.

use super::admin::Admin;
use super::changes::Changes;
use super::children::{Attempt, Child, Generation};
use super::clock::Clock;
use super::code_files::Code;
use super::exporter::Exporter;
use super::forker::Forker;
use super::jobs::Jobs;
use super::log_writer::LogWriter;
use super::mounts::Mounts;
use super::notify::Notifier;
use super::pending_workers::{AbandonedWorker, PendingWorker};
use super::policy::{Capacity, Event, Policy};
use super::status_report::LastReport;
use super::successor::{self, Predecessor, Successor};
use super::zygote::Zygote;
use super::{Roles, most_workers};
use crate::channel::CommandReceiver;
use crate::exit::{Exit, Status};
use crate::info;
use crate::scoreboard::Scoreboard;
use crate::sys::watch::{self, Watch};
use crate::sys::{exec, memory, process, signals};
use anyhow::{Context, Result, anyhow};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::signalfd::SignalFd;
use nix::unistd::Pid;
use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// An `ExitReason` says why the server could not go on, where it was not asked to stop.
pub type ExitReason = Option<(Status, String)>;

pub struct Supervisor<R> {
    /// A reload begins with these.
    pub(super) roles: Rc<R>,
    pub(super) policy: Policy,
    /// These have happened and were not acted upon yet.
    pub(super) events: VecDeque<Event>,
    pub(super) signals: SignalFd,
    /// Files are watched by this, if the kernel does that, and this is known of them.
    pub(super) watching: Option<(Option<Watch>, Changes)>,
    pub(super) forker: Forker,
    pub(super) admin: Admin,
    pub(super) log_writer: LogWriter,
    pub(super) exporter: Exporter,
    pub(super) jobs: Jobs,
    pub(super) mounts: Mounts,
    pub(super) published: LastReport,
    pub(super) children: Vec<Child>,
    /// Zygotes were asked for these workers, some of which nobody waits for any more.
    pub(super) pending_workers: Vec<PendingWorker>,
    pub(super) abandoned_workers: Vec<AbandonedWorker>,
    /// This version is being compiled and loaded.
    pub(super) attempt: Option<Attempt<R>>,
    /// The new executable is asked whether it can take over.
    pub(super) successor: Option<Successor>,
    pub(super) executes: bool,
    /// This executable was started from here.
    pub(super) executable: PathBuf,
    /// These versions are served or tried.
    pub(super) generations: Vec<Generation<R>>,
    pub(super) memory_kills: u64,
    /// The notifier tells the service manager what the server is doing.
    pub(super) notifier: Notifier,
    clock: Clock,
    pub(super) next_beat: Instant,
    /// The server ends for this reason, and waits until then for the ends of what was killed.
    pub(super) exit: Option<(ExitReason, Instant)>,
}

/// Serves until it is told to stop. An error is the reason why the server could not go on.
pub fn run<R: Roles>(roles: R, scoreboard: Scoreboard) -> Result<()> {
    info!("Started parent process [{}]", std::process::id());
    let room = room(&roles, &scoreboard);
    let settings = roles.settings().clone();
    let (policy, actions) = Policy::new(settings, room, Box::new(process::random));
    let forker = Forker::new(scoreboard).context("cannot watch over workers")?;
    let mut supervisor = Supervisor::new(Rc::new(roles), policy, forker)?;
    supervisor.perform(actions);
    supervisor.supervise()
}

/// Takes over from the executable that was replaced, or tells it whether it could.
pub fn resume<R: Roles>(roles: R, predecessor: Predecessor) -> Result<()> {
    if let Some(question) = &predecessor.question {
        return successor::answer(&roles, &predecessor.forker, question);
    }
    let (handover, roles) = (predecessor.handover, Rc::new(roles));
    let workers = handover.workers.into_iter().map(|left| left.worker);
    let left = (handover.served, handover.wanted, workers.collect());
    let room = room(&*roles, &predecessor.forker.scoreboard);
    let (settings, now) = (roles.settings().clone(), Instant::now());
    let (policy, actions) = Policy::inherit(settings, room, left, now, Box::new(process::random));
    let mut supervisor = Supervisor::new(roles.clone(), policy, predecessor.forker)?;
    if let Some(pid) = handover.admin_process.map(Pid::from_raw)
        && process::is_child(pid)
    {
        // It is one of the executable before this one.
        process::signal(pid, Signal::SIGKILL);
    }
    let exporter = handover.exporter_process.map(Pid::from_raw);
    supervisor.exporter = Exporter::inherit(exporter.filter(|pid| process::is_child(*pid)));
    supervisor.log_writer = LogWriter::inherit(predecessor.log_writers);
    supervisor.mounts = Mounts::inherit(&handover.mounts);
    supervisor.roles.serving();
    supervisor.children = predecessor.children;
    supervisor.generations.push(Generation {
        number: handover.served,
        roles,
        code: Code {
            file: predecessor.code,
            info: handover.code_info,
            found: None,
            primed: None,
            jobs: Vec::new(),
        },
        zygote: None,
    });
    supervisor.describe_served();
    supervisor.perform(actions);
    supervisor.supervise()
}

fn room<R: Roles>(roles: &R, scoreboard: &Scoreboard) -> Capacity {
    let slots = scoreboard.length();
    let most = most_workers(roles.settings()).min(slots / 2).max(1);
    Capacity { most, slots }
}

impl<R: Roles> Supervisor<R> {
    fn new(roles: Rc<R>, policy: Policy, forker: Forker) -> Result<Supervisor<R>> {
        process::adopt_orphans();
        let admin = Admin::new(&*roles);
        let notifier = match roles.mounted_at() {
            None => Notifier::from_environment(Instant::now()),
            Some(_) => Notifier::of_nobody(Instant::now()),
        };
        let mut supervisor = Supervisor {
            roles,
            policy,
            events: VecDeque::new(),
            signals: signals::descriptor().context("cannot receive signals")?,
            watching: None,
            forker,
            admin,
            log_writer: LogWriter::default(),
            exporter: Exporter::default(),
            jobs: Jobs::default(),
            mounts: Mounts::default(),
            published: None,
            children: Vec::new(),
            pending_workers: Vec::new(),
            abandoned_workers: Vec::new(),
            attempt: None,
            successor: None,
            executes: false,
            executable: exec::own_path().unwrap_or_default(),
            generations: Vec::new(),
            memory_kills: process::memory_kills(),
            notifier,
            clock: Clock::new(Instant::now()),
            next_beat: Instant::now(),
            exit: None,
        };
        supervisor.publish_begin();
        supervisor.watch();
        Ok(supervisor)
    }

    /// Begins to watch the files of the version that is served, where that is wanted.
    pub(super) fn watch(&mut self) {
        if !self.roles.settings().reload {
            self.watching = None;
            return;
        }
        let files = self.roles.watched();
        if self
            .watching
            .as_ref()
            .is_some_and(|(_, known)| known.files() == files)
        {
            return;
        }
        // Without the kernel's help, files are looked at with every beat.
        let watch = Watch::new().ok().inspect(|watch| watch.add(&files));
        let known = files.iter().map(|file| watch::signature(file)).collect();
        self.watching = Some((watch, Changes::new(files, known)));
    }

    fn supervise(mut self) -> Result<()> {
        self.look_after_log();
        let ended = self.serve();
        if ended.is_err() {
            for child in &self.children {
                process::signal(child.pid, Signal::SIGKILL);
            }
        }
        if matches!(ended, Ok(None)) {
            info!("Stopping parent process [{}]", std::process::id());
        }
        self.admin.finish();
        self.log_writer.finish();
        match ended? {
            Some((status, reason)) => Err(anyhow!(reason)).exits(status),
            None => Ok(()),
        }
    }

    fn serve(&mut self) -> Result<ExitReason> {
        loop {
            let mut acted = false;
            while let Some(event) = self.events.pop_front() {
                let now = self.now();
                let actions = self.policy.on(event, now);
                self.publish_incidents();
                self.tell_service_manager();
                acted |= !actions.is_empty();
                self.perform(actions);
            }
            self.publish();
            // What reading a configuration and starting took is not needed to wait.
            if acted {
                memory::collect();
                memory::forget_code();
            }
            let now = self.now();
            let over = |(_, until): &mut (ExitReason, Instant)| {
                let is_alone = self.forker.is_alone() && self.exporter.is_gone();
                is_alone && self.mounts.are_gone() || *until <= now
            };
            if let Some((failure, _)) = self.exit.take_if(over) {
                self.exporter.finish();
                self.mounts.kill();
                return Ok(failure);
            }
            // The next executable is left workers, and none that are pending.
            if self.executes && self.pending_workers.is_empty() && self.jobs.is_idle() {
                self.executes = false;
                self.execute();
                continue;
            }
            self.tell_service_manager();
            self.wait()?;
            self.look_after_admin();
            self.look_after_log();
            self.look_after_exporter();
            self.look_after_jobs();
            self.look_after_mounts();
            self.read_messages();
            self.read_pending_workers();
            self.read_signals()?;
            self.reap();
            self.look_after_time();
        }
    }

    /// Tells by the real time: a service manager's watchdog does not stand still while this process does.
    fn tell_service_manager(&mut self) {
        if let Some(why) = self.policy.failure() {
            self.notifier.fails(why);
        }
        let condition = self.policy.condition();
        self.notifier.tell(condition, Instant::now());
    }

    /// Gives the time, as the policy has it.
    pub(super) fn now(&mut self) -> Instant {
        let longest = self.policy.beat_period();
        self.clock.now(Instant::now(), longest)
    }

    /// Sleeps until there is something to do.
    fn wait(&mut self) -> Result<()> {
        let now = self.now();
        let changes = self.watching.as_ref();
        let pending = self.pending_workers.iter().map(|pending| pending.deadline);
        let wake = [
            Some(self.next_beat),
            self.policy.wakes_at(now),
            changes.and_then(|(_, changes)| changes.wakes_at(now)),
            self.exit.as_ref().map(|(_, until)| *until),
            self.jobs.wakes_at(),
        ];
        let wake = wake
            .into_iter()
            .flatten()
            .chain(pending)
            .min()
            .unwrap_or(now);
        let left = wake.saturating_duration_since(now) + Duration::from_millis(1);
        let told = self.notifier.wakes_at();
        let told = told.map(|due| due.saturating_duration_since(Instant::now()));
        let left = told.map_or(left, |told| left.min(told + Duration::from_millis(1)));
        let zygotes = self.generations.iter();
        let zygotes = zygotes.filter_map(|version| version.zygote.as_ref());
        let attempt = self.attempt.iter();
        let attempt = attempt.filter_map(|attempt| attempt.stage.descriptor());
        let children = self.children.iter();
        let receivers = children.filter_map(|child| child.receiver.as_ref());
        let receivers = receivers
            .chain(self.pending_workers.iter().map(|pending| &pending.receiver))
            .chain(self.abandoned_workers.iter().map(|late| &late.receiver))
            .chain(self.successor.iter().map(|asked| &asked.receiver));
        let descriptors = receivers.filter_map(|receiver| receiver.open_descriptor());
        let orders = self.roles.orders();
        let orders = orders.and_then(CommandReceiver::open_descriptor);
        let watches = changes
            .iter()
            .filter_map(|(watch, _)| Some(watch.as_ref()?.descriptor()));
        let mut polled: Vec<PollFd<'_>> = descriptors
            .chain(zygotes.filter_map(Zygote::descriptor))
            .chain(attempt)
            .chain(watches)
            .chain(self.admin.descriptors())
            .chain(orders)
            .chain(self.mounts.descriptors())
            .chain([self.signals.as_fd()])
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut polled, timeout) {
            Ok(_) | Err(nix::Error::EINTR) => Ok(()),
            Err(error) => Err(error).context("cannot wait for events"),
        }
    }
}
