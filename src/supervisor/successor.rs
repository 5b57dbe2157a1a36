//! Replacing the executable has two sides: the one that runs asks the new one and becomes it, the new one says whether
//! it can and takes over.

use super::Roles;
use super::children::Child;
use super::code_files::Code;
use super::forker::{Forker, ended, fork_child};
use super::handover::{Handover, LeftLogWriter};
use super::policy::Death;
use crate::channel::{ChildMessage, LeftListener, LeftMount, Receiver, Reporter, channel};
use crate::exit::{Exit, Status};
use crate::scoreboard::{Layout, PredecessorScoreboard, Scoreboard};
use crate::sys::channel::send;
use crate::sys::process::{self, End};
use crate::sys::{exec, memory};
use anyhow::{Context, Result, anyhow, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::Pid;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// This variable names the descriptor that the handover can be read from.
const HANDOVER: &str = "WASMSERVE_HANDOVER";

/// This variable names the descriptor that an answer goes to, when the executable is only asked.
const QUESTION: &str = "WASMSERVE_QUESTION";

/// `Predecessor` is what an executable finds that is to take over from another.
pub struct Predecessor {
    /// These sockets are open, in the order in which they were bound.
    pub listeners: Vec<(OwnedFd, LeftListener)>,
    /// The admin process has these sockets; none where the executable before this one had none.
    pub admin: Vec<(OwnedFd, LeftListener)>,
    /// These components are mounted, each with the sockets that its server listens at and is reached by.
    pub mounts: Vec<(LeftMount, [OwnedFd; 2])>,
    pub(super) handover: Handover,
    pub(super) forker: Forker,
    pub(super) code: OwnedFd,
    pub(super) children: Vec<Child>,
    pub(super) log_writers: Vec<(OwnedFd, LeftLogWriter)>,
    /// The answer goes there, if the executable was only asked whether it can.
    pub(super) question: Option<Question>,
}

/// A `Question` says where an answer goes.
pub enum Question {
    Records(Reporter),
    /// The answer goes to an executable of the first kind, which takes a message with any descriptor for a yes, and
    /// else looks at how this process ends.
    First(OwnedFd),
}

impl Predecessor {
    /// Says whether this executable is to take over, and not only to say whether it could.
    pub fn is_meant(&self) -> bool {
        self.question.is_none()
    }
}

/// Gives what another executable leaves to this one; none where it was started by itself. To be called before anything
/// else has opened a descriptor or started a thread.
pub fn predecessor() -> Result<Option<Predecessor>> {
    let Some(number) = exec::take_variable(HANDOVER) else {
        return Ok(None);
    };
    let question = exec::take_variable(QUESTION);
    // A question is answered even if what is handed over cannot be understood: by the exit.
    let question = question.map(|number| inherited(&number)).transpose()?;
    let mut bytes = Vec::new();
    File::from(inherited(&number)?).read_to_end(&mut bytes)?;
    let handover = Handover::read(&bytes)?;
    let question = question.map(|fd| match handover.is_first {
        true => Question::First(fd),
        false => Question::Records(Reporter::from(fd)),
    });
    let predecessor = accept(handover, question);
    predecessor
        .context("cannot take over from the executable that was replaced")
        .map(Some)
}

fn accept(handover: Handover, question: Option<Question>) -> Result<Predecessor> {
    let sockets = |left: &[LeftListener]| {
        let sockets = left.iter().map(|left| Ok((own(left.fd)?, *left)));
        sockets.collect::<Result<Vec<_>>>()
    };
    let listeners = sockets(&handover.listeners)?;
    let admin = sockets(&handover.admin)?;
    let lifeline = (own(handover.lifeline.0)?, own(handover.lifeline.1)?);
    let (memory, layout) = (own(handover.scoreboard)?, &handover.layout);
    let forker = if *layout == Layout::own(layout.slots) {
        Forker::inherit(Scoreboard::adopt(memory, layout)?, lifeline)
    } else {
        let before = PredecessorScoreboard::new(&memory, layout.clone())?;
        Forker::inherit(Scoreboard::new(before.length())?, lifeline).with_predecessor(before)
    };
    let mounts = handover.mounts.iter();
    let mounts = mounts.map(|left| Ok((left.clone(), [own(left.listening)?, own(left.file)?])));
    let log_writers = handover.log_writers.iter();
    let log_writers = log_writers.map(|left| Ok((own(left.orders)?, left.clone())));
    // Who is only asked has no workers.
    let workers = handover.workers.iter().filter(|_| question.is_none());
    let children = workers.map(|left| {
        Ok(Child {
            id: left.worker.id,
            pid: Pid::from_raw(left.worker.pid),
            slot: forker.left_slot(left.slot)?,
            receiver: left.receiver.map(own).transpose()?.map(Receiver::from),
        })
    });
    Ok(Predecessor {
        listeners,
        admin,
        mounts: mounts.collect::<Result<_>>()?,
        code: own(handover.code)?,
        children: children.collect::<Result<_>>()?,
        log_writers: log_writers.collect::<Result<_>>()?,
        forker,
        handover,
        question,
    })
}

fn inherited(number: &str) -> Result<OwnedFd> {
    own(number.parse()?)
}

fn own(fd: RawFd) -> Result<OwnedFd> {
    // SAFETY: the executable before this one left it to this one, and each is taken once, before
    // anything else has opened descriptors.
    let owned = unsafe { exec::inherited(fd) };
    owned.with_context(|| format!("descriptor {fd} was not handed over"))
}

/// Answers the question whether this executable can take over: it has understood what is handed
/// over, and it can make code of the application.
pub fn answer<R: Roles>(roles: &R, forker: &Forker, question: &Question) -> Result<()> {
    let compiled = compiled(roles, forker);
    let status = match question {
        Question::Records(reporter) => ended(compiled.map(|_| reporter.ready()), reporter),
        Question::First(socket) => {
            send(socket, b"c", &[compiled?.file.as_fd()])?;
            Status::Stopped
        }
    };
    match status {
        Status::Stopped => Ok(()),
        status => Err(anyhow!("it cannot start the application")).exits(status),
    }
}

/// A compiler that has said everything is looked at this often.
const GLANCE: Duration = Duration::from_millis(10);

/// Has the application compiled, as it is at a start. Steps before the start are not taken.
fn compiled<R: Roles>(roles: &R, forker: &Forker) -> Result<Code> {
    if !roles.has_application() {
        return Ok(Code::nothing()?);
    }
    let mut compiler = forker.compiler(roles)?;
    let limit = roles.settings().compile.time;
    let deadline = Instant::now() + limit;
    let end = loop {
        if let Some(code) = compiler.listen() {
            return Ok(code);
        }
        if let Some(end) = process::ended(compiler.pid) {
            // What it said at its end.
            compiler.listen();
            break end;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            bail!("compiling took longer than {} s", limit.as_secs_f64());
        }
        let descriptor = compiler.descriptor().into_iter();
        let mut polled: Vec<_> = descriptor
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        let pause = if polled.is_empty() { GLANCE } else { left };
        let _ = poll(&mut polled, PollTimeout::try_from(pause)?);
    };
    match (compiler.ended(), end) {
        (Err((status, text)), _) => Err(anyhow!(text)).exits(status),
        (Ok(Some(files)), End::Exited(0)) => {
            let code = files.finish()?.into_iter().next();
            code.context("nothing was compiled")
        }
        _ => bail!("the compiler did not finish: {end}"),
    }
}

/// A `Successor` is the process that is the new executable, while it is asked.
pub struct Successor {
    pub pid: Pid,
    pub receiver: Receiver,
    answer: SuccessorAnswer,
}

/// A `SuccessorAnswer` is what the new executable has said so far.
enum SuccessorAnswer {
    Nothing,
    Can,
    Cannot(String),
}

impl Successor {
    /// Takes note of what it said.
    pub fn listen(&mut self) {
        while let Some(message) = self.receiver.receive() {
            match (message, &self.answer) {
                (Ok(ChildMessage::Ready), SuccessorAnswer::Nothing) => {
                    self.answer = SuccessorAnswer::Can
                }
                (Ok(ChildMessage::Failed { text, .. }), _) => {
                    self.answer = SuccessorAnswer::Cannot(text)
                }
                (Ok(_), _) => {}
                (Err(_), _) => {
                    let why = "it sent what cannot be understood".to_owned();
                    self.answer = SuccessorAnswer::Cannot(why);
                }
            }
        }
    }

    /// Says whether the new one can take over, or why not. It has ended.
    pub fn answer(self, death: Death) -> Result<(), String> {
        match (self.answer, death.end) {
            (SuccessorAnswer::Cannot(why), _) => Err(why),
            (SuccessorAnswer::Can, End::Exited(0)) => Ok(()),
            _ => Err(format!("the new one did not say that it can: {death}")),
        }
    }
}

/// Forks a process that becomes the new executable, to be asked.
pub fn ask(path: &Path, handover: &Handover) -> io::Result<Successor> {
    let file = written(handover)?;
    let (receiver, reporter) = channel()?;
    let mut kept = handover.descriptors();
    kept.extend([file.as_raw_fd(), reporter.descriptor()]);
    let variables = [
        (HANDOVER, file.as_raw_fd().to_string()),
        (QUESTION, reporter.descriptor().to_string()),
    ];
    let pid = fork_child(
        &kept,
        || Ok(()),
        || {
            process::die_with_parent();
            let error = match keep_across(&kept, true) {
                Ok(()) => exec::replace(path, &variables),
                Err(error) => error,
            };
            reporter.failed(Status::Internal, &format!("cannot be executed: {error}"));
            Status::Internal
        },
    )?;
    Ok(Successor {
        pid,
        receiver,
        answer: SuccessorAnswer::Nothing,
    })
}

/// Becomes the new executable. Returns where that fails, and then everything is as it was.
pub fn become_it(path: &Path, handover: &Handover) -> io::Error {
    let replaced = || {
        let file = written(handover)?;
        keep_across(&handover.descriptors(), true)?;
        let variables = [(HANDOVER, file.as_raw_fd().to_string())];
        Ok(exec::replace(path, &variables))
    };
    let error = replaced().unwrap_or_else(|error| error);
    let _ = keep_across(&handover.descriptors(), false);
    error
}

fn written(handover: &Handover) -> io::Result<File> {
    let bytes = handover.write().map_err(io::Error::other)?;
    memory::inheritable_file("wasmserve handover", &bytes)
}

fn keep_across(descriptors: &[RawFd], keep: bool) -> io::Result<()> {
    let mut descriptors = descriptors.iter();
    descriptors.try_for_each(|fd| exec::keep_across(*fd, keep))
}
