//! The process that the workers of a version are forked from: it has loaded the application once, so that they
//! share the memory which that takes, and can serve at once. The supervisor asks it for each of them and becomes
//! their parent. Where code is found that needs no compiling, the compiler goes on as the zygote of it.

use super::children::{ended, fork_child, messages, serve};
use super::{Prepared, Roles, Seat};
use crate::channel::{Message, Receiver, Reporter, channel};
use crate::exit::Status;
use crate::scoreboard::Scoreboard;
use crate::sys::channel::{Received, pair, receive, send, wait};
use crate::sys::{fork, memory, process, signals};
use anyhow::Result;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::time::Duration;

/// How long a fork may take, at most.
const PATIENCE: Duration = Duration::from_secs(5);

/// An answer is cut to this many bytes.
const LONGEST: usize = 512;

/// The compiler of a version, or what its workers are forked from. It ends with this handle.
pub struct Zygote {
    pub pid: Pid,
    receiver: Receiver,
    orders: OwnedFd,
    ready: bool,
    /// What it was given, or has made.
    code: Option<Code>,
    failed: Option<(Status, String)>,
    /// It is known to be gone.
    ended: bool,
}

/// Native code, and what its compiler noted about it.
pub struct Code {
    pub file: OwnedFd,
    pub note: String,
}

impl Code {
    pub fn try_clone(&self) -> io::Result<Code> {
        Ok(Code {
            file: self.file.try_clone()?,
            note: self.note.clone(),
        })
    }
}

/// What all workers have in common.
pub struct Kin {
    pub lifeline: OwnedFd,
    pub scoreboard: Rc<Scoreboard>,
}

impl Zygote {
    /// Forks what loads this code; where there is none yet, the compiler.
    pub fn start<R: Roles>(roles: &R, kin: Kin, code: Option<Code>) -> io::Result<Zygote> {
        let (receiver, reporter) = channel()?;
        let (orders, asked) = pair()?;
        let sockets = roles.sockets().into_iter().map(|(fd, _)| fd);
        let given = code.iter().map(|code| code.file.as_raw_fd());
        let own = [
            kin.lifeline.as_raw_fd(),
            reporter.descriptor(),
            asked.as_raw_fd(),
        ];
        let kept: Vec<RawFd> = sockets.chain(given).chain(own).collect();
        let pid = fork_child(&kept, || {
            process::die_with_parent();
            signals::ignore_reopening();
            match loaded(roles, code.as_ref(), &reporter) {
                Ok(Some(loaded)) => {
                    memory::collect();
                    process::call(c"zygote");
                    reporter.ready();
                    drop(reporter);
                    let Some(seat) = bear(asked, &kin) else {
                        return Status::Stopped;
                    };
                    process::call(c"wasmserve");
                    serve(roles, Ok(loaded), seat)
                }
                other => ended(other.map(drop), &reporter),
            }
        })?;
        Ok(Zygote {
            pid,
            receiver,
            orders,
            ready: false,
            code,
            failed: None,
            ended: false,
        })
    }

    pub fn receiver(&self) -> &Receiver {
        &self.receiver
    }

    pub fn is_ready(&self) -> bool {
        self.ready
    }

    /// Takes note of what it said; gives the code where it has become ready.
    pub fn listen(&mut self) -> Option<Code> {
        let was_ready = self.ready;
        for message in messages(&self.receiver) {
            match message {
                Message::Ready => self.ready = true,
                Message::Compiled { code: file, note } => self.code = Some(Code { file, note }),
                Message::Failed { status, text } => self.failed = Some((status, text)),
                Message::Spent => {}
            }
        }
        if self.ready && !was_ready {
            self.code.take()
        } else {
            None
        }
    }

    /// It has ended, before it was ready or after: what it has made, or why it has not.
    pub fn ended(mut self) -> Result<Option<Code>, (Status, String)> {
        self.ended = true;
        self.failed.take().map_or(Ok(self.code.take()), Err)
    }

    /// Has it fork a worker for a slot, which becomes a child of this process.
    pub fn worker(
        &self,
        slot: usize,
        max_requests: Option<u64>,
        reporter: &Reporter,
    ) -> io::Result<Pid> {
        let order = match max_requests {
            Some(most) => format!("{slot} {most}"),
            None => slot.to_string(),
        };
        send(&self.orders, order.as_bytes(), Some(reporter.as_fd()))?;
        wait(&self.orders, Some(PATIENCE));
        let mut buffer = [0; LONGEST];
        let Received::Message(length, _) = receive(&self.orders, &mut buffer)? else {
            return Err(io::ErrorKind::TimedOut.into());
        };
        let answer = String::from_utf8_lossy(&buffer[..length]);
        let pid = answer.parse().map(Pid::from_raw);
        pid.map_err(|_| io::Error::other(answer))
    }
}

impl Drop for Zygote {
    fn drop(&mut self) {
        if !self.ended {
            process::signal(self.pid, Signal::SIGKILL);
            process::wait_for(self.pid);
        }
    }
}

/// Compiles where that is to be done, and loads: where compiling has left no threads behind. Workers are forked
/// from it then.
fn loaded<R: Roles>(
    roles: &R,
    code: Option<&Code>,
    reporter: &Reporter,
) -> Result<Option<R::Loaded>> {
    if let Some(code) = code {
        return roles.load(&code.file, &code.note).map(Some);
    }
    // It has no handlers: a signal ends it, as it should.
    signals::unblock_for_compiler()?;
    let Prepared { code, note, loaded } = roles.prepare()?;
    signals::block_for_supervision()?;
    reporter.compiled(code.as_fd(), &note);
    Ok(loaded)
}

/// Forks a worker for every order, until nobody can give another. Returns in each of them too, with its seat.
fn bear(asked: OwnedFd, kin: &Kin) -> Option<Seat> {
    let mut buffer = [0; LONGEST];
    loop {
        wait(&asked, None);
        let (length, reporter) = match receive(&asked, &mut buffer) {
            Ok(Received::Message(length, Some(reporter))) => (length, reporter),
            Ok(Received::Nothing) => continue,
            _ => return None,
        };
        let told = |forked| answer(&asked, forked);
        match seat(&buffer[..length], reporter, kin) {
            Ok(seat) => match fork::fork_away(told) {
                Ok(true) => return Some(seat),
                Ok(false) => {}
                Err(error) => told(Err(error)),
            },
            Err(error) => told(Err(error)),
        }
    }
}

fn answer(asked: &OwnedFd, forked: io::Result<Pid>) {
    let text = forked.map_or_else(|error| error.to_string(), |pid| pid.to_string());
    // A supervisor that is gone needs no answer.
    let _ = send(asked, text.as_bytes(), None);
}

/// What an order asks for.
fn seat(order: &[u8], reporter: OwnedFd, kin: &Kin) -> io::Result<Seat> {
    let numbers: Result<Vec<u64>, _> = String::from_utf8_lossy(order)
        .split(' ')
        .map(str::parse)
        .collect();
    let numbers = numbers.map_err(io::Error::other)?;
    let slot = numbers.first().ok_or(io::ErrorKind::InvalidData)?;
    Ok(Seat {
        slot: usize::try_from(*slot).map_err(io::Error::other)?,
        reporter: Rc::new(reporter.into()),
        lifeline: kin.lifeline.try_clone()?,
        scoreboard: kin.scoreboard.clone(),
        max_requests: numbers.get(1).copied(),
    })
}
