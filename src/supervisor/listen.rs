//! What the system says is turned into events here: messages, signals, ends of children, time.

use super::Roles;
use super::children::{Child, Compiler, Generation, messages};
use super::policy::{Death, Event, Id, Vital};
use super::run::Supervisor;
use crate::channel::Message;
use crate::exit::Status;
use crate::scoreboard::Phase;
use crate::sys::process::{self, End};
use crate::sys::watch::{self, Watch};
use anyhow::{Context, Result};
use nix::sys::signal::Signal;

impl<R: Roles> Supervisor<R> {
    pub(super) fn read_messages(&mut self) {
        for child in &self.children {
            for message in messages(&child.receiver) {
                if matches!(message, Message::Ready) {
                    self.nursery.scoreboard.slot(child.slot).enter(Phase::Ready);
                }
                self.events.extend(of_worker(child.id, message));
            }
        }
        for compiler in self.compiler.iter_mut().chain(&mut self.successor) {
            compiler.listen();
        }
    }

    pub(super) fn read_signals(&mut self) -> Result<()> {
        while let Some(info) = self.signals.read_signal().context("cannot read signals")? {
            let event = match Signal::try_from(info.ssi_signo.cast_signed()) {
                Ok(Signal::SIGTERM | Signal::SIGINT) => Event::Stop,
                Ok(Signal::SIGQUIT) => Event::Quit,
                Ok(Signal::SIGHUP) => Event::Reload,
                Ok(Signal::SIGTTIN) => Event::More,
                Ok(Signal::SIGTTOU) => Event::Fewer,
                Ok(Signal::SIGUSR2) => Event::Upgrade,
                Ok(Signal::SIGUSR1) => {
                    for child in &self.children {
                        process::signal(child.pid, Signal::SIGUSR1);
                    }
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
        while let Some((pid, end)) = process::reap() {
            self.read_messages();
            let memory = end == End::Killed(Signal::SIGKILL) && self.was_for_memory();
            let death = Death { end, memory };
            let is = |compiler: &mut Compiler<R>| compiler.pid == pid;
            if let Some(index) = self.children.iter().position(|child| child.pid == pid) {
                let child = self.children.swap_remove(index);
                self.nursery.scoreboard.slot(child.slot).enter(Phase::Free);
                self.events.push_back(Event::Ended {
                    id: child.id,
                    death,
                });
            } else if let Some(compiler) = self.compiler.take_if(is) {
                let event = self.compiled(compiler, death);
                self.events.push_back(event);
            } else if let Some(successor) = self.successor.take_if(is) {
                let answer = answered(successor, death);
                self.events.push_back(Event::Answered(answer));
            }
        }
        self.forget_generations();
    }

    fn was_for_memory(&mut self) -> bool {
        let before = std::mem::replace(&mut self.memory_kills, process::memory_kills());
        self.memory_kills > before
    }

    fn compiled(&mut self, compiler: Compiler<R>, death: Death) -> Event {
        match (compiler.made, compiler.failed, death.end) {
            (Some((code, note)), _, End::Exited(0)) => {
                let settings = Box::new(compiler.roles.settings().clone());
                self.generations.push(Generation {
                    number: compiler.number,
                    roles: compiler.roles,
                    code,
                    note,
                });
                Event::Compiled { settings }
            }
            (_, Some((status, reason)), _) => Event::CompileFailed { status, reason },
            (_, None, _) => Event::CompileFailed {
                status: Status::Application,
                reason: format!("the compiler did not finish: {death}"),
            },
        }
    }

    /// Versions that no worker will have any more are closed. The newest may not be known to policy
    /// yet.
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
        if beats {
            self.next_beat = now + self.policy.beat_period();
            let vitals = self.vitals();
            self.events.push_back(Event::Beat(vitals));
        } else {
            self.events.push_back(Event::Time);
        }
    }

    fn vitals(&self) -> Vec<Vital> {
        let watches_memory = self.roles.settings().max_worker_rss.is_some();
        let vital = |child: &Child| {
            let slot = self.nursery.scoreboard.slot(child.slot);
            let resident = watches_memory.then(|| process::resident(child.pid));
            Vital {
                id: child.id,
                beat: slot.heartbeat_ms(),
                resident: resident.flatten().unwrap_or(0),
                answering: slot.answered_last(),
            }
        };
        self.children.iter().map(vital).collect()
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

fn answered<R>(successor: Compiler<R>, death: Death) -> Result<(), String> {
    match (successor.made, successor.failed, death.end) {
        (Some(_), _, End::Exited(0)) => Ok(()),
        (_, Some((_, why)), _) => Err(why),
        _ => Err(format!("the new one did not say that it can: {death}")),
    }
}
