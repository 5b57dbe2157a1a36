//! What is kept of each child process, and of the versions of the application that they serve.

use super::policy::Id;
use super::slots::ReservedSlot;
use super::zygote::{Code, Zygote};
use crate::channel::Receiver;
use nix::unistd::Pid;
use std::rc::Rc;

/// A version of the application: what to do, and the code to do it with.
pub struct Generation<R> {
    pub number: u32,
    pub roles: Rc<R>,
    pub code: Code,
    /// What its workers are forked from. Where there is none, this process forks them, and each loads the code.
    pub zygote: Option<Zygote>,
}

/// A version that is being compiled and loaded.
pub struct Attempt<R> {
    pub number: u32,
    pub roles: Rc<R>,
    pub zygote: Zygote,
    /// It is compiled.
    pub compiled: bool,
}

/// A worker process.
pub struct Child {
    pub id: Id,
    pub pid: Pid,
    pub slot: WorkerSlot,
    /// None where its messages cannot be understood.
    pub receiver: Option<Receiver>,
}

/// Where a worker says that it is alive.
pub enum WorkerSlot {
    Own(ReservedSlot),
    /// In the scoreboard of the executable before this one, which laid it out in its own way.
    Foreign(usize),
}
