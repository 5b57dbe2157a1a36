//! This file turns what the system says into events: messages, signals, ends of children, time.

use super::Roles;
use super::children::{Child, WorkerSlot};
use super::event_loop::Supervisor;
use super::policy::{ConnectionCounts, Death, Event, HealthReading, Id};
use super::successor::Successor;
use super::zygote::Zygote;
use crate::channel::{ChildMessage, Garbage, Receiver};
use crate::exit::Status;
use crate::log;
use crate::scoreboard::{WorkerPhase, totals};
use crate::sys::process::{self, End};
use crate::sys::watch::{self, Watch};
use crate::{debug, warning};
use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

impl<R: Roles> Supervisor<R> {
    pub(super) fn read_messages(&mut self) {
        for child in &self.children {
            let next = || child.receiver.as_ref().and_then(Receiver::receive);
            while let Some(message) = next() {
                let message = message.unwrap_or_else(|Garbage| {
                    process::signal(child.pid, Signal::SIGKILL);
                    ChildMessage::Failed {
                        status: Status::Internal,
                        text: "it sent what no worker sends".to_owned(),
                    }
                });
                if matches!(message, ChildMessage::Ready) {
                    self.forker.enters(&child.slot, WorkerPhase::Ready);
                }
                self.events.extend(of_worker(child.id, message));
            }
        }
        for generation in &mut self.generations {
            generation.zygote.as_mut().map(Zygote::listen);
        }
        self.successor.iter_mut().for_each(Successor::listen);
        self.jobs.listen();
        self.listen_to_attempt();
    }

    pub(super) fn read_signals(&mut self) -> Result<()> {
        while let Some(info) = self.signals.read_signal().context("cannot read signals")? {
            let event = match Signal::try_from(info.ssi_signo.cast_signed()) {
                Ok(Signal::SIGTERM | Signal::SIGINT) => Event::Stop,
                Ok(Signal::SIGQUIT) => Event::Quit,
                Ok(Signal::SIGHUP) => {
                    self.mounts.ask_reload();
                    Event::Reload
                }
                Ok(Signal::SIGTTIN) => Event::More,
                Ok(Signal::SIGTTOU) => Event::Fewer,
                Ok(Signal::SIGUSR2) => Event::Upgrade,
                Ok(Signal::SIGUSR1) => {
                    self.reopen_logs();
                    continue;
                }
                _ => continue,
            };
            self.events.push_back(event);
        }
        Ok(())
    }

    /// Takes note of every child that has ended, and of what it said before.
    pub(super) fn reap(&mut self) {
        while let Some(pid) = process::ended_child() {
            // Who it was is told by what it said, and can be looked up until it is reaped.
            self.read_messages();
            self.read_pending_workers();
            let Some(end) = process::ended(pid) else {
                break;
            };
            self.forker.reaped(pid);
            if self.log_writer.ended(pid) {
                warning!("the process that writes the log [{pid}] has ended: {end}");
                continue;
            }
            if self.admin.ended(pid) {
                debug!("the admin process [{pid}] has ended: {end}");
                continue;
            }
            if self.exporter.ended(pid) {
                debug!("the exporter [{pid}] has ended: {end}");
                continue;
            }
            let memory = end == End::Killed(Signal::SIGKILL) && self.was_for_memory();
            let death = Death { end, memory };
            if self.jobs.ended(pid, &death) || self.mounts.ended(pid, &death) {
                continue;
            }
            if let Some(index) = self.children.iter().position(|child| child.pid == pid) {
                let child = self.children.swap_remove(index);
                self.forker.release(child.slot);
                self.events.push_back(Event::Ended {
                    id: child.id,
                    death,
                });
            } else if let Some(attempt) = self.attempt.take_if(|it| it.stage.pid() == Some(pid)) {
                let failed = self.goes_on(attempt, death);
                self.events.extend(failed);
            } else if let Some(successor) = self.successor.take_if(|it| it.pid == pid) {
                self.events
                    .push_back(Event::Answered(successor.answer(death)));
            } else {
                self.replace_zygote(pid, death);
            }
        }
        self.forget_generations();
    }

    fn was_for_memory(&mut self) -> bool {
        let before = std::mem::replace(&mut self.memory_kills, process::memory_kills());
        self.memory_kills > before
    }

    /// Replaces a zygote that was of use.
    fn replace_zygote(&mut self, pid: Pid, death: Death) {
        let is = |zygote: &mut Zygote| zygote.pid == pid;
        for generation in &mut self.generations {
            let Some(zygote) = generation.zygote.take_if(is) else {
                continue;
            };
            debug!("the zygote [{pid}] has ended: {death}");
            let was_ready = zygote.is_ready();
            let _ = zygote.ended();
            if was_ready && self.policy.needs(generation.number) {
                self.forker.renew_zygote(generation);
            }
        }
    }

    /// Closes versions that no worker will have any more. The newest may not be known to policy yet.
    fn forget_generations(&mut self) {
        let newest = self.generations.last().map(|generation| generation.number);
        let policy = &self.policy;
        self.generations.retain(|generation| {
            newest == Some(generation.number) || policy.needs(generation.number)
        });
    }

    pub(super) fn look_after_time(&mut self) {
        let now = self.now();
        let beats = now >= self.next_beat;
        if let Some((watch, changes)) = &mut self.watching {
            watch.iter().for_each(Watch::drain);
            let files = changes.files().iter();
            let signatures = files.map(|file| watch::signature(file)).collect();
            if changes.seen(signatures, now) {
                // A directory that was replaced is watched anew.
                watch.iter().for_each(|watch| watch.add(changes.files()));
                self.events.push_back(Event::Changed);
            }
        }
        if let Some(attempt) = &self.attempt
            && let Some(pid) = attempt.stage.pid()
        {
            let resident = process::resident(pid).unwrap_or(0);
            let resident = resident.max(attempt.stage.written());
            self.events.push_back(Event::CompilerSize { resident });
        }
        if beats {
            self.next_beat = now + self.policy.beat_period();
            let are_renewed = self.repair_mounts();
            if self.roles.repair_sockets() || are_renewed {
                self.renew_zygotes();
                self.events.push_back(Event::SocketsRenewed);
            }
            self.publish_backlogs();
            let lost = log::take_lost();
            let totals = self.forker.scoreboard.carried();
            totals.add_all(totals::LOG_LINES_LOST, lost);
            let readings = self.readings();
            self.events.push_back(Event::Beat(readings));
            self.events
                .extend(self.activity().map(Event::ConnectionCounts));
        } else {
            self.events.push_back(Event::Time);
        }
    }

    /// Replaces zygotes, as what is forked from them has sockets that nobody can reach.
    fn renew_zygotes(&mut self) {
        self.forker.sockets_renewed();
        for generation in &mut self.generations {
            if generation.zygote.is_some() {
                self.forker.renew_zygote(generation);
            }
        }
    }

    /// Gives what clients do; none where nobody wants to know, or where a worker of another executable would have to be
    /// asked.
    fn activity(&self) -> Option<ConnectionCounts> {
        self.roles.settings().exit_idle?;
        let scoreboard = &self.forker.scoreboard;
        let slots = (0..scoreboard.length()).map(|index| scoreboard.slot(index));
        let total = slots.fold(0_u64, |sum, slot| {
            sum.wrapping_add(slot.connections_total())
        });
        let open = self.children.iter().map(|child| match &child.slot {
            WorkerSlot::Own(slot) => Some(u64::from(scoreboard.slot(slot.index()).connections())),
            WorkerSlot::Predecessor(_) => None,
        });
        let open = open.sum::<Option<u64>>()?;
        Some(ConnectionCounts { open, total })
    }

    fn readings(&self) -> Vec<HealthReading> {
        let compares = self.policy.compares_answers();
        let watches_memory = self.roles.settings().max_worker_rss.is_some();
        let reading = |child: &Child| {
            let (beat, answering) = self.forker.signs_of_life(&child.slot);
            let load = self.forker.load(&child.slot);
            let resident = watches_memory.then(|| process::resident(child.pid));
            HealthReading {
                id: child.id,
                beat,
                resident: resident.flatten().unwrap_or(0),
                answering,
                load,
                answers: compares.then(|| self.forker.answers(&child.slot)).flatten(),
            }
        };
        self.children.iter().map(reading).collect()
    }
}

fn of_worker(id: Id, message: ChildMessage) -> Option<Event> {
    match message {
        ChildMessage::Ready => Some(Event::Ready(id)),
        ChildMessage::Spent => Some(Event::Spent(id)),
        ChildMessage::Stuck => Some(Event::Stuck(id)),
        ChildMessage::Failed { status, text } => Some(Event::LastWords { id, status, text }),
        // It is known already who it is, and it compiles nothing.
        ChildMessage::Forked { .. } | ChildMessage::Found(_) | ChildMessage::Code(_) => None,
    }
}
