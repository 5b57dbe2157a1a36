//! Each component that is mounted beside the application is served by a supervisor of its own, with workers of its own,
//! which is a child of this one: so that it has its own grants and limits, and that none of its troubles is another's.
//! This file keeps those servers: they are started before the version that wants them is compiled, started again where
//! they die, or when somebody asks after they have ended since nobody did, and ended last.

use super::backoff::Backoff;
use super::children::AttemptStage;
use super::event_loop::Supervisor;
use super::forker::{ended, fork_child};
use super::mount_scoreboards::MountScoreboards;
use super::mount_server::{MountServer, ServerState};
use super::policy::{Death, Event};
use super::{ChildTask, MountSockets as _, Roles};
use crate::channel::{AdminCommand, LeftMount, Receiver, channel, command_channel};
use crate::exit::Status;
use crate::scoreboard::{Scoreboard, WorkerPhase};
use crate::sys::process::{self, End};
use crate::sys::{cpus, socket};
use crate::{debug, error, info, warning};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// `Mounts` are the servers of what is mounted.
#[derive(Default)]
pub struct Mounts {
    servers: Vec<MountServer>,
    /// These have ended because nobody was connected; somebody who connects is seen here.
    idle: BTreeMap<String, OwnedFd>,
    /// These have just ended so.
    rests: Vec<String>,
    /// All of them are to be reloaded, with the version that is made next.
    is_reload_asked: bool,
    /// These could not start, which has not been told yet.
    failed: BTreeMap<String, (Status, String)>,
    /// These have died, and are not started again before some time.
    backoffs: BTreeMap<String, Backoff>,
    pub scoreboards: MountScoreboards,
}

impl Mounts {
    /// Takes over those that the executable before this one has left.
    pub fn inherit(left: &[LeftMount]) -> Mounts {
        let servers = left.iter().filter_map(|left| {
            let pid = Pid::from_raw(left.process?);
            process::is_child(pid).then(|| MountServer {
                name: left.name.clone(),
                pid,
                receiver: None,
                orders: None,
                state: ServerState::Old,
                started: Instant::now(),
            })
        });
        Mounts {
            servers: servers.collect(),
            ..Mounts::default()
        }
    }

    /// Says which process serves each, for the next executable.
    pub fn process(&self, name: &str) -> Option<i32> {
        let mut servers = self.servers.iter();
        let server = servers.find(|it| it.name == name && it.is_current())?;
        Some(server.pid.as_raw())
    }

    /// Says whether no process is left.
    pub fn are_gone(&self) -> bool {
        self.servers.is_empty()
    }

    /// Hears what they have to say.
    pub fn listen(&mut self) {
        self.servers.iter_mut().for_each(MountServer::listen);
    }

    /// Lists what to wait for.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let receivers = self.servers.iter().filter_map(|it| it.receiver.as_ref());
        let receivers = receivers.filter_map(Receiver::open_descriptor);
        receivers.chain(self.idle.values().map(AsFd::as_fd))
    }

    /// Lets those that have died start at once, as there is a new version.
    pub fn forget_deaths(&mut self) {
        self.backoffs.clear();
    }

    /// Notes that the operator wants everything to be reloaded, and not only what has changed.
    pub fn ask_reload(&mut self) {
        self.is_reload_asked = true;
    }

    /// Has those of these reload that run, where the operator wants that: the others are not mounted any more.
    pub fn reload(&mut self, names: &[String]) {
        if !std::mem::take(&mut self.is_reload_asked) {
            return;
        }
        let servers = self.servers.iter();
        for server in servers.filter(|it| it.is_current() && names.contains(&it.name)) {
            process::signal(server.pid, Signal::SIGHUP);
        }
    }

    /// Passes on what the operator orders of the server of this mount.
    pub fn pass_on(&self, name: &str, command: AdminCommand) {
        let mut servers = self.servers.iter();
        // Whoever gave the order sees that nothing comes of it.
        if !servers.any(|it| it.name == name && it.is_current() && it.order(command)) {
            warning!("The server of mount `{name}` takes no orders at present");
        }
    }

    /// Kills those that have not ended in time.
    pub fn kill(&self) {
        for MountServer { name, pid, .. } in &self.servers {
            error!("The server of mount `{name}` [{pid}] has not ended in time, and is killed");
            process::signal(*pid, Signal::SIGKILL);
        }
    }

    /// Has all of them end at once.
    pub fn quit(&self) {
        for server in &self.servers {
            process::signal(server.pid, Signal::SIGQUIT);
        }
    }

    /// Ends all of them.
    pub fn end(&mut self) {
        self.idle.clear();
        self.servers.iter_mut().for_each(MountServer::end);
    }

    /// Notes that a process was reaped, and says whether it was one of these.
    pub fn ended(&mut self, pid: Pid, death: &Death) -> bool {
        let mut servers = self.servers.iter();
        let Some(index) = servers.position(|server| server.pid == pid) else {
            return false;
        };
        let MountServer {
            name,
            state,
            started,
            ..
        } = self.servers.swap_remove(index);
        if !matches!(state, ServerState::Ending | ServerState::Old) {
            let now = Instant::now();
            let backoff = self.backoffs.entry(name.clone()).or_default();
            backoff.died(now - started, now, process::random());
        }
        match state {
            ServerState::Ending | ServerState::Old => {
                debug!("the server of mount `{name}` [{pid}] has ended: {death}");
            }
            ServerState::Failed(status, why) => {
                self.failed.insert(name, (status, why));
            }
            ServerState::Starting => {
                let why = format!("its server did not start: {death}");
                self.failed.insert(name, (Status::Application, why));
            }
            ServerState::Ready if death.end == End::Exited(0) => {
                info!("Mount `{name}` is idle, and starts again when it is asked");
                self.backoffs.remove(&name);
                self.scoreboards.note_idle(&name);
                self.rests.push(name);
            }
            ServerState::Ready => {
                error!("The server of mount `{name}` has ended ({death}) and is started again");
            }
        }
        true
    }

    /// Says whether the requests of these mounts are answered, or will be when there are any.
    fn answer(&self, names: &[String]) -> bool {
        let is_ready = |it: &&MountServer| matches!(it.state, ServerState::Ready);
        let ready = self.servers.iter().filter(is_ready);
        let ready: BTreeSet<&String> = ready.map(|it| &it.name).chain(self.idle.keys()).collect();
        names.iter().all(|name| ready.contains(name))
    }

    /// Ends the servers of the executable before this one where there are others.
    fn relieve_old(&mut self) {
        let is_ready = |it: &&MountServer| matches!(it.state, ServerState::Ready);
        let ready = self.servers.iter().filter(is_ready);
        let ready: BTreeSet<String> = ready.map(|it| it.name.clone()).collect();
        let servers = self.servers.iter_mut();
        let old =
            servers.filter(|it| matches!(it.state, ServerState::Old) && ready.contains(&it.name));
        old.for_each(MountServer::end);
    }

    /// Returns how many may be started now: as many are at a time as there are processors.
    fn room(&self) -> usize {
        let starting = |it: &&MountServer| matches!(it.state, ServerState::Starting);
        let starting = self.servers.iter().filter(starting).count();
        cpus::available().max(2).saturating_sub(starting)
    }

    /// Lists those of these mounts that are to be started now.
    fn due<'a>(&self, wanted: impl Iterator<Item = &'a String>) -> Vec<String> {
        let is_there = |it: &&MountServer| !matches!(it.state, ServerState::Old);
        let there = self.servers.iter().filter(is_there);
        let there: BTreeSet<&str> = there.map(|it| it.name.as_str()).collect();
        let now = Instant::now();
        let arrivals = socket::have_arrivals(self.idle.values().map(AsFd::as_fd));
        let idle = self.idle.keys().zip(arrivals);
        let idle = idle.filter(|(_, has_arrivals)| !has_arrivals);
        let idle: BTreeSet<&String> = idle.map(|(name, _)| name).collect();
        let rests = |name: &String| {
            let backoff = self.backoffs.get(name);
            let waits = backoff.and_then(|it| it.waits_until(now)).is_some();
            waits || idle.contains(name)
        };
        let due = wanted.filter(|name| !there.contains(name.as_str()) && !rests(name));
        due.take(self.room()).cloned().collect()
    }
}

impl<R: Roles> Supervisor<R> {
    /// Has a server for each mount that a version wants, and none that no version does.
    pub(super) fn look_after_mounts(&mut self) {
        self.mounts.listen();
        self.tell_failed_mounts();
        for name in std::mem::take(&mut self.mounts.rests) {
            // Where it cannot be watched, it is started again at once.
            if let Ok(listening) = self.roles.mount_sockets().borrow().duplicate(&name) {
                self.mounts.idle.insert(name, listening);
            }
        }
        let wanted = self.wanted_mounts();
        if wanted.is_empty() && self.mounts.are_gone() {
            return;
        }
        for server in &mut self.mounts.servers {
            if !wanted.contains_key(&server.name) {
                server.end();
            }
        }
        self.mounts.idle.retain(|name, _| wanted.contains_key(name));
        let is_wanted = |name: &String| wanted.contains_key(name);
        self.mounts.scoreboards.keep(is_wanted);
        self.mounts.relieve_old();
        for name in self.mounts.due(wanted.keys()) {
            if let Some(roles) = wanted.get(&name) {
                self.start_mount(name, roles);
            }
        }
        self.go_on_when_mounted();
    }

    /// Repairs what was done to the sockets of mounts, and says whether there are others now, which workers do not know.
    pub(super) fn repair_mounts(&mut self) -> bool {
        let renewed = self.roles.mount_sockets().borrow_mut().repair();
        for name in &renewed {
            // Whoever comes is seen at the new one.
            if self.mounts.idle.remove(name).is_some() {
                self.mounts.rests.push(name.clone());
            }
            let servers = self.mounts.servers.iter_mut();
            let servers = servers.filter(|it| it.name == *name);
            servers.for_each(MountServer::end);
        }
        !renewed.is_empty()
    }

    /// Lists what is to be mounted, each with the newest version that wants it.
    fn wanted_mounts(&self) -> BTreeMap<String, Rc<R>> {
        if self.exit.is_some() {
            return BTreeMap::new();
        }
        let attempt = self.attempt.iter().map(|attempt| &attempt.roles);
        let served = self.generations.iter().map(|generation| &generation.roles);
        let mut wanted = BTreeMap::new();
        for roles in attempt.chain([&self.roles]).chain(served) {
            for name in roles.mounts() {
                wanted.entry(name).or_insert_with(|| roles.clone());
            }
        }
        wanted
    }

    fn start_mount(&mut self, name: String, roles: &R) {
        self.mounts.idle.remove(&name);
        match self.fork_mount(&name, roles) {
            Ok(server) => self.mounts.servers.push(server),
            Err(error) => {
                let why = format!("its server cannot be forked: {error}");
                let backoff = self.mounts.backoffs.entry(name.clone()).or_default();
                backoff.died(Duration::ZERO, Instant::now(), process::random());
                self.mounts.failed.insert(name, (Status::Internal, why));
            }
        }
    }

    fn fork_mount(&mut self, name: &str, roles: &R) -> io::Result<MountServer> {
        let (receiver, reporter) = channel()?;
        let (orders, sender) = command_channel()?;
        let listening = roles.mount_sockets().borrow().listening(name)?;
        let slots = roles.mount_slots(name);
        let (memory, layout) = self.mounts.scoreboards.of(name, slots)?;
        let kept = [
            listening,
            reporter.descriptor(),
            orders.descriptor(),
            memory.as_raw_fd(),
        ];
        let pid = fork_child(
            &kept,
            || self.forker.scoreboard.give_up(),
            || {
                process::die_with_parent();
                process::call(c"mount");
                let reporter = Rc::new(reporter);
                let told = reporter.clone();
                let run = || {
                    let scoreboard = Scoreboard::adopt(memory.try_clone()?, &layout)?;
                    // Whoever had them is gone, or has nobody any more who would look.
                    (0..slots).for_each(|slot| scoreboard.entry(slot).enter(WorkerPhase::Free));
                    roles.run(ChildTask::ServeMount {
                        name,
                        reporter,
                        orders,
                        scoreboard,
                    })
                };
                ended(run(), &told)
            },
        )?;
        Ok(MountServer {
            name: name.to_owned(),
            pid,
            receiver: Some(receiver),
            orders: Some(sender),
            state: ServerState::Starting,
            started: Instant::now(),
        })
    }

    /// Has the version that waits for a mount which cannot start fail; others try again.
    fn tell_failed_mounts(&mut self) {
        let failed = std::mem::take(&mut self.mounts.failed);
        let attempt = self.attempt.take_if(|attempt| {
            let mounts: BTreeSet<String> = attempt.roles.mounts().into_iter().collect();
            let waits = matches!(attempt.stage, AttemptStage::Mounting);
            waits && failed.keys().any(|name| mounts.contains(name))
        });
        let mut told = false;
        for (name, (status, why)) in failed {
            let reason = format!("mount `{name}`: {why}");
            match (&attempt, told) {
                (Some(attempt), false) if attempt.roles.mounts().contains(&name) => {
                    self.events
                        .push_back(Event::CompileFailed { status, reason });
                    told = true;
                }
                _ => error!("{reason}"),
            }
        }
    }

    /// Goes on with the version that waited for its mounts.
    fn go_on_when_mounted(&mut self) {
        let is_there = self.attempt.take_if(|attempt| {
            matches!(attempt.stage, AttemptStage::Mounting)
                && self.mounts.answer(&attempt.roles.mounts())
        });
        if let Some(attempt) = is_there {
            self.begin_attempt(attempt.number, attempt.roles);
        }
    }
}
