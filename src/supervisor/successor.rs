//! The two sides of replacing the executable: the one that runs asks the new one and becomes it, the
//! new one says whether it can and takes over.

use super::Roles;
use super::children::{Child, Nursery, ended, fork_child, messages};
use super::handover::Will;
use super::policy::Death;
use crate::channel::{Message, Receiver, Reporter, channel};
use crate::exit::{Exit, Status};
use crate::scoreboard::Scoreboard;
use crate::sys::process::{self, End};
use crate::sys::{exec, memory};
use anyhow::{Context, Result, anyhow};
use nix::unistd::Pid;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::Path;

/// The descriptor that what is handed over can be read from.
const HANDOVER: &str = "WASMSERVE_HANDOVER";

/// Where the answer is to go, when the executable is only asked.
const QUESTION: &str = "WASMSERVE_QUESTION";

/// What an executable finds that is to take over from another.
pub struct Adopted {
    /// The sockets that are open, in the order in which they were bound, each with its note.
    pub listeners: Vec<(OwnedFd, String)>,
    pub(super) will: Will,
    pub(super) nursery: Nursery,
    pub(super) code: OwnedFd,
    pub(super) children: Vec<Child>,
    /// Where the answer goes, if it was only asked whether it can.
    pub(super) question: Option<Reporter>,
}

impl Adopted {
    /// Whether this executable is to take over, and not only to say whether it could.
    pub fn is_meant(&self) -> bool {
        self.question.is_none()
    }
}

/// What another executable leaves to this one; none where it was started by itself. To be called
/// before anything else has opened a descriptor or started a thread.
pub fn adopted() -> Result<Option<Adopted>> {
    let Some(number) = exec::take_variable(HANDOVER) else {
        return Ok(None);
    };
    let question = exec::take_variable(QUESTION);
    // A question is answered even if what is handed over cannot be understood: by the exit.
    let question = question.map(|number| inherited(&number)).transpose()?;
    let mut text = String::new();
    File::from(inherited(&number)?).read_to_string(&mut text)?;
    let will: Will = text.parse()?;
    let adopted = accept(will, question.map(Reporter::from));
    adopted
        .context("cannot take over from the executable that was replaced")
        .map(Some)
}

fn accept(will: Will, question: Option<Reporter>) -> Result<Adopted> {
    let scoreboard = Scoreboard::adopt(own(will.scoreboard)?, will.slots)?;
    let lifeline = (own(will.lifeline.0)?, own(will.lifeline.1)?);
    let children = will.workers.iter().map(|bequest| {
        Ok(Child {
            id: bequest.worker.id,
            pid: Pid::from_raw(bequest.worker.pid),
            slot: bequest.slot,
            receiver: own(bequest.receiver)?.into(),
        })
    });
    let listeners = will.listeners.iter();
    let listeners = listeners.map(|(fd, note)| Ok((own(*fd)?, note.clone())));
    Ok(Adopted {
        listeners: listeners.collect::<Result<_>>()?,
        nursery: Nursery::inherit(scoreboard, lifeline),
        code: own(will.code)?,
        children: children.collect::<Result<_>>()?,
        will,
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
pub fn answer<R: Roles>(roles: &R, reporter: &Reporter) -> Result<()> {
    let compiled = roles.compile();
    let compiled = compiled.map(|made| reporter.compiled(made.code.as_fd(), &made.note));
    match ended(compiled, reporter) {
        Status::Stopped => Ok(()),
        status => Err(anyhow!("it cannot start the application")).exits(status),
    }
}

/// The process that is the new executable, while it is asked.
pub struct Successor {
    pub pid: Pid,
    pub receiver: Receiver,
    can: bool,
    failed: Option<String>,
}

impl Successor {
    /// Takes note of what it said.
    pub fn listen(&mut self) {
        for message in messages(&self.receiver) {
            match message {
                Message::Compiled { .. } => self.can = true,
                Message::Failed { text, .. } => self.failed = Some(text),
                Message::Ready | Message::Spent => {}
            }
        }
    }

    /// What it came to; it has ended.
    pub fn answer(self, death: Death) -> Result<(), String> {
        match (self.failed, death.end) {
            (Some(why), _) => Err(why),
            (None, End::Exited(0)) if self.can => Ok(()),
            _ => Err(format!("the new one did not say that it can: {death}")),
        }
    }
}

/// Forks a process that becomes the new executable, to be asked.
pub fn ask(path: &Path, will: &Will) -> io::Result<Successor> {
    let file = written(will)?;
    let (receiver, reporter) = channel()?;
    let mut kept = will.descriptors();
    kept.extend([file.as_raw_fd(), reporter.descriptor()]);
    let variables = [
        (HANDOVER, file.as_raw_fd().to_string()),
        (QUESTION, reporter.descriptor().to_string()),
    ];
    let pid = fork_child(&kept, || {
        process::die_with_parent();
        let error = match keep_across(&kept, true) {
            Ok(()) => exec::replace(path, &variables),
            Err(error) => error,
        };
        reporter.failed(Status::Internal, &format!("cannot be executed: {error}"));
        Status::Internal
    })?;
    Ok(Successor {
        pid,
        receiver,
        can: false,
        failed: None,
    })
}

/// Becomes the new executable. Returns where that fails, and then everything is as it was.
pub fn become_it(path: &Path, will: &Will) -> io::Error {
    let replaced = || {
        let file = written(will)?;
        keep_across(&will.descriptors(), true)?;
        let variables = [(HANDOVER, file.as_raw_fd().to_string())];
        Ok(exec::replace(path, &variables))
    };
    let error = replaced().unwrap_or_else(|error| error);
    let _ = keep_across(&will.descriptors(), false);
    error
}

fn written(will: &Will) -> io::Result<File> {
    memory::inheritable_file("wasmserve handover", will.to_string().as_bytes())
}

fn keep_across(descriptors: &[RawFd], keep: bool) -> io::Result<()> {
    let mut descriptors = descriptors.iter();
    descriptors.try_for_each(|fd| exec::keep_across(*fd, keep))
}
