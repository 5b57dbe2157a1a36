//! This file is what is kept of each child process, and of the versions of the application that they serve.

use super::code_files::Code;
use super::policy::Id;
use super::primer::Primer;
use super::single_task::SingleTask;
use super::slots::ReservedSlot;
use super::step::Step;
use super::zygote::Zygote;
use crate::channel::Receiver;
use nix::unistd::Pid;
use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::rc::Rc;

/// A `Generation` is a version of the application: what to do, and the code to do it with.
pub struct Generation<R> {
    pub number: u32,
    pub roles: Rc<R>,
    pub code: Code,
    /// The version's workers are forked from this zygote. Where there is none, this process forks them, and each loads
    /// the code.
    pub zygote: Option<Zygote>,
}

/// An `Attempt` is a version that is being compiled and loaded.
pub struct Attempt<R> {
    pub number: u32,
    pub roles: Rc<R>,
    pub stage: AttemptStage,
}

/// An `AttemptStage` says how far an attempt has come, and which process is at it.
pub enum AttemptStage {
    /// What is mounted beside the application is started first.
    Mounting,
    /// The component is pulled.
    Pulling(SingleTask),
    Compiling(Zygote),
    /// A step before the start is taken: the first of these. The application's code is waiting.
    Stepping {
        step: Step,
        code: Code,
        rest: VecDeque<Code>,
    },
    /// An instance of the application is primed.
    Priming {
        primer: Primer,
        code: Code,
    },
    /// What was compiled is loaded.
    Loading(Zygote),
}

impl AttemptStage {
    /// Returns the process that is at it; none where there are several.
    pub fn pid(&self) -> Option<Pid> {
        Some(match self {
            AttemptStage::Mounting => return None,
            AttemptStage::Pulling(task) => task.pid,
            AttemptStage::Compiling(zygote) | AttemptStage::Loading(zygote) => zygote.pid,
            AttemptStage::Stepping { step, .. } => step.process.pid,
            AttemptStage::Priming { primer, .. } => primer.process.pid,
        })
    }

    /// Says how many bytes of code were written so far.
    pub fn written(&self) -> u64 {
        match self {
            AttemptStage::Compiling(zygote) | AttemptStage::Loading(zygote) => zygote.written(),
            AttemptStage::Mounting
            | AttemptStage::Pulling(_)
            | AttemptStage::Stepping { .. }
            | AttemptStage::Priming { .. } => 0,
        }
    }

    /// Gives what to wait for.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match self {
            AttemptStage::Mounting => None,
            AttemptStage::Pulling(task) => task.receiver.open_descriptor(),
            AttemptStage::Compiling(zygote) | AttemptStage::Loading(zygote) => zygote.descriptor(),
            AttemptStage::Stepping { step, .. } => step.process.receiver.open_descriptor(),
            AttemptStage::Priming { primer, .. } => primer.process.receiver.open_descriptor(),
        }
    }
}

/// A `Child` is a worker process.
pub struct Child {
    pub id: Id,
    pub pid: Pid,
    pub slot: WorkerSlot,
    /// The receiver is `None` where the child's messages cannot be understood.
    pub receiver: Option<Receiver>,
}

/// A `WorkerSlot` is where a worker says that it is alive.
pub enum WorkerSlot {
    Own(ReservedSlot),
    /// The slot is in the scoreboard of the executable before this one, which laid it out in its own way.
    Predecessor(usize),
}
