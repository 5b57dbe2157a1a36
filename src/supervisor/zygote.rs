//! The workers of a version are forked from a zygote: it has loaded the application once, so that they share the memory
//! which that takes, and can serve at once. The supervisor asks it for each of them and becomes their parent. Where
//! code is found that needs no compiling, the compiler goes on as the zygote of it.

use super::code_files::{Code, CodeFiles};
use super::forker::{NewWorker, ended, fork_child, serve};
use super::{MountSockets as _, Roles, Sockets, WorkerContext};
use crate::cache::CodeName;
use crate::channel::{ChildMessage, Receiver, Reporter, channel};
use crate::exit::{Status, status_of};
use crate::log;
use crate::scoreboard::Scoreboard;
use crate::sys::channel::{Received, downward, receive, send, wait};
use crate::sys::{fork, memory, process, signals};
use anyhow::Result;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::rc::Rc;

/// A `Zygote` is the compiler of a version, or what its workers are forked from. It is killed with this handle.
pub struct Zygote {
    pub pid: Pid,
    receiver: Receiver,
    requests: OwnedFd,
    state: ZygoteState,
    /// This was in the cache, and is loaded.
    found: Option<CodeName>,
    /// A listening socket had been bound anew this often when the zygote was forked.
    pub sockets: u32,
}

enum ZygoteState {
    /// The zygote compiles, or loads what it was given or has made.
    Loading(ZygoteTask),
    /// The zygote forks workers.
    Ready,
    /// The zygote could not, and said so.
    Failed(Status, String),
    Reaped,
}

/// `ZygoteTask` is what a zygote has to do.
pub enum ZygoteTask {
    /// The zygote is to compile into these files, and to load what it finds instead, where that is large.
    Compile(CodeFiles),
    /// The zygote is to load this code.
    Load(Code),
}

impl ZygoteTask {
    fn descriptors(&self) -> Vec<RawFd> {
        match self {
            ZygoteTask::Compile(files) => files.descriptors().collect(),
            ZygoteTask::Load(code) => code.descriptors().collect(),
        }
    }

    /// Gives what workers can be forked for while it lives: code that it cannot write to.
    fn servable(&self) -> io::Result<Option<Code>> {
        match self {
            ZygoteTask::Compile(files) => files.found(),
            ZygoteTask::Load(code) => code.try_clone().map(Some),
        }
    }
}

/// `Shared` is what all workers have in common.
pub struct Shared {
    pub lifeline: OwnedFd,
    pub scoreboard: Rc<Scoreboard>,
}

impl Zygote {
    /// Forks a zygote that is to do this.
    pub fn start<R: Roles>(
        roles: &R,
        shared: Shared,
        work: ZygoteTask,
        sockets: u32,
    ) -> io::Result<Zygote> {
        let (receiver, reporter) = channel()?;
        if let ZygoteTask::Compile(files) = &work {
            receiver.expect(u32::try_from(files.len()).unwrap_or(0));
        }
        let (requests, taken) = downward()?;
        let listening = roles.sockets().borrow().descriptors().into_iter();
        let mounts = roles.mount_sockets().borrow().files();
        let own = [
            shared.lifeline.as_raw_fd(),
            reporter.descriptor(),
            taken.as_raw_fd(),
        ];
        let kept: Vec<RawFd> = listening
            .chain(mounts)
            .chain(work.descriptors())
            .chain(own)
            .collect();
        let pid = fork_child(
            &kept,
            || shared.scoreboard.give_up(),
            || {
                process::die_with_parent();
                signals::ignore_reopening();
                let loaded = loaded(roles, &work, &reporter);
                match loaded.and_then(|it| confined(roles, it)) {
                    Ok(Some(loaded)) => {
                        memory::collect();
                        process::call(c"zygote");
                        reporter.ready();
                        drop(reporter);
                        let Some(context) = fork_as_asked(&taken, &shared) else {
                            return Status::Stopped;
                        };
                        drop(taken);
                        process::call(c"wasmserve");
                        serve(roles, Ok(loaded), context)
                    }
                    other => ended(other.map(drop), &reporter),
                }
            },
        )?;
        Ok(Zygote {
            pid,
            receiver,
            requests,
            found: match &work {
                ZygoteTask::Load(code) => code.found,
                ZygoteTask::Compile(_) => None,
            },
            state: ZygoteState::Loading(work),
            sockets,
        })
    }

    /// Gives what to wait for.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.receiver.open_descriptor()
    }

    pub fn is_ready(&self) -> bool {
        matches!(self.state, ZygoteState::Ready)
    }

    /// Returns the name of what it found in the cache.
    pub fn found(&self) -> Option<CodeName> {
        self.found
    }

    /// Says how many bytes of code it has written.
    pub fn written(&self) -> u64 {
        match &self.state {
            ZygoteState::Loading(ZygoteTask::Compile(files)) => files.written(),
            _ => 0,
        }
    }

    /// Takes note of what it said; gives the code where workers can be forked from it.
    pub fn listen(&mut self) -> Option<Code> {
        let mut made = None;
        while let Some(message) = self.receiver.receive() {
            let ZygoteState::Loading(work) = &mut self.state else {
                continue;
            };
            let understood = match (message, work) {
                (Ok(ChildMessage::Ready), work) => match work.servable() {
                    Ok(Some(code)) => {
                        made = Some(code);
                        self.state = ZygoteState::Ready;
                        Ok(())
                    }
                    Ok(None) => Err(internal("the compiler is ready for nothing")),
                    Err(error) => Err(internal(&error.to_string())),
                },
                (Ok(ChildMessage::Failed { status, text }), _) => {
                    self.state = ZygoteState::Failed(status, text);
                    Ok(())
                }
                (Ok(ChildMessage::Found(name)), _) => {
                    self.found = Some(name);
                    Ok(())
                }
                (Ok(ChildMessage::Code(report)), ZygoteTask::Compile(files)) => files
                    .note(report)
                    .map_err(|error| (status_of(&error), format!("{error:#}"))),
                (
                    Ok(
                        ChildMessage::Code(_)
                        | ChildMessage::Forked { .. }
                        | ChildMessage::Spent
                        | ChildMessage::Stuck,
                    ),
                    _,
                ) => Ok(()),
                (Err(_), _) => Err(internal("the compiler sent what cannot be understood")),
            };
            if let Err((status, why)) = understood {
                self.state = ZygoteState::Failed(status, why);
                process::signal(self.pid, Signal::SIGKILL);
            }
        }
        made
    }

    /// Returns the files that a zygote which was reaped was to fill, or why it could not, whether it was ready before
    /// or not.
    pub fn ended(mut self) -> Result<Option<CodeFiles>, (Status, String)> {
        match std::mem::replace(&mut self.state, ZygoteState::Reaped) {
            ZygoteState::Loading(ZygoteTask::Compile(files)) => Ok(Some(files)),
            ZygoteState::Failed(status, text) => Err((status, text)),
            ZygoteState::Loading(_) | ZygoteState::Ready | ZygoteState::Reaped => Ok(None),
        }
    }

    /// Asks it to fork a worker, which says by its reporter which process it is. It cannot write to the scoreboard
    /// without the descriptor of that, and its worker maps no more than its slot.
    pub fn ask_for(&self, new_worker: &NewWorker, scoreboard: &Scoreboard) -> io::Result<()> {
        let request = ForkRequest {
            slot: new_worker.slot.index(),
            max_requests: new_worker.max_requests,
        };
        let carried = [new_worker.reporter.as_fd(), scoreboard.descriptor()];
        let request = serde_json::to_vec(&request)?;
        send(&self.requests, &request, &carried)
    }
}

fn internal(why: &str) -> (Status, String) {
    (Status::Internal, why.to_owned())
}

/// Kills the process, which is reaped when it has ended, with all others.
impl Drop for Zygote {
    fn drop(&mut self) {
        if !matches!(self.state, ZygoteState::Reaped) {
            process::signal(self.pid, Signal::SIGKILL);
        }
    }
}

/// Compiles where that is to be done, and loads: where compiling has left no threads behind. Workers are forked from
/// it then.
fn loaded<R: Roles>(
    roles: &R,
    work: &ZygoteTask,
    reporter: &Reporter,
) -> Result<Option<R::Loaded>> {
    let files = match work {
        ZygoteTask::Load(code) => {
            return roles.load(code).map(Some);
        }
        ZygoteTask::Compile(files) => files.try_clone()?,
    };
    // It has no handlers: a signal ends it, as it should.
    signals::unblock_for_compiler()?;
    let loaded = roles.prepare(reporter, &files)?;
    signals::block_for_supervision()?;
    Ok(loaded)
}

/// Keeps a process that goes on as a zygote to what that takes.
fn confined<R: Roles>(roles: &R, loaded: Option<R::Loaded>) -> Result<Option<R::Loaded>> {
    if loaded.is_some() {
        roles.confine_zygote()?;
    }
    Ok(loaded)
}

/// A `ForkRequest` is what is asked of a zygote.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ForkRequest {
    slot: usize,
    max_requests: Option<u64>,
}

/// A request takes no more bytes than this.
const FORK_REQUEST: usize = 128;

/// Forks a worker for every request, until nobody can give another. Returns in each of them too, with its context.
fn fork_as_asked(requests: &OwnedFd, shared: &Shared) -> Option<WorkerContext> {
    let mut buffer = [0; FORK_REQUEST];
    loop {
        wait(requests);
        let (request, carried) = match receive(requests, &mut buffer) {
            Ok(Received::Message(length, carried)) => (
                serde_json::from_slice::<ForkRequest>(&buffer[..length]).ok()?,
                carried,
            ),
            Ok(Received::Nothing) => continue,
            _ => return None,
        };
        let mut carried = carried.into_iter();
        let (reporter, scoreboard) = (Reporter::from(carried.next()?), carried.next()?);
        match forked(&request, &reporter, &scoreboard, shared) {
            Ok(None) => {}
            Ok(Some(lifeline)) => {
                return Some(WorkerContext {
                    slot: request.slot,
                    reporter: Rc::new(reporter),
                    lifeline,
                    scoreboard: shared.scoreboard.clone(),
                    max_requests: request.max_requests,
                });
            }
            Err(error) => reporter.failed(Status::Internal, &error.to_string()),
        }
    }
}

/// Forks a worker, which tells the supervisor who it is before it does anything else. Returns its lifeline in it.
fn forked(
    request: &ForkRequest,
    reporter: &Reporter,
    scoreboard: &OwnedFd,
    shared: &Shared,
) -> io::Result<Option<OwnedFd>> {
    let lifeline = shared.lifeline.try_clone()?;
    if !fork::fork_away()? {
        return Ok(None);
    }
    // Whom nobody expects must not serve.
    let told = reporter.forked(process::own_pid());
    let kept = || shared.scoreboard.keep(request.slot, scoreboard.as_fd());
    if told.and_then(|()| kept()).is_err() {
        process::leave();
    }
    log::reopen();
    Ok(Some(lifeline))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_arrives() {
        for max_requests in [None, Some(1), Some(u64::MAX)] {
            let request = ForkRequest {
                slot: usize::MAX,
                max_requests,
            };
            let written = serde_json::to_vec(&request).unwrap();
            assert!(written.len() <= FORK_REQUEST);
            assert_eq!(
                serde_json::from_slice::<ForkRequest>(&written).unwrap(),
                request
            );
        }
    }
}
