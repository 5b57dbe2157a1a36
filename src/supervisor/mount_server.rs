//! The server of a mount is a process that the supervisor hears, signals and reaps: this file has what is kept of it.

use crate::channel::{AdminCommand, AdminOrder, ChildMessage, CommandSender, Receiver};
use crate::exit::Status;
use crate::sys::process;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::time::Instant;

/// A `MountServer` is one such process.
pub struct MountServer {
    pub name: String,
    pub pid: Pid,
    /// None where the executable before this one has forked it.
    pub receiver: Option<Receiver>,
    /// None where the executable before this one has forked it, too.
    pub orders: Option<CommandSender>,
    pub state: ServerState,
    pub started: Instant,
}

/// A `ServerState` says how far the server of a mount has come.
pub enum ServerState {
    Starting,
    Ready,
    /// It has said why it cannot start.
    Failed(Status, String),
    /// It was told to end.
    Ending,
    /// It is of the executable before this one, and serves until there is another.
    Old,
}

impl MountServer {
    /// Says whether it serves, or is about to.
    pub fn is_current(&self) -> bool {
        !matches!(self.state, ServerState::Ending | ServerState::Old)
    }

    /// Gives it an order, and says whether it can take one.
    pub fn order(&self, command: AdminCommand) -> bool {
        let order = AdminOrder::own(command);
        self.orders
            .as_ref()
            .is_some_and(|it| it.send(order).is_ok())
    }

    /// Asks it to end, once.
    pub fn end(&mut self) {
        if !matches!(self.state, ServerState::Ending) {
            process::signal(self.pid, Signal::SIGTERM);
            self.state = ServerState::Ending;
        }
    }

    /// Takes note of what it says.
    pub fn listen(&mut self) {
        let Some(receiver) = &self.receiver else {
            return;
        };
        while let Some(message) = receiver.receive() {
            match (message, &self.state) {
                (Ok(ChildMessage::Ready), ServerState::Starting) => {
                    self.state = ServerState::Ready;
                }
                (Ok(ChildMessage::Failed { status, text }), ServerState::Starting) => {
                    self.state = ServerState::Failed(status, text);
                }
                (Ok(_), _) => {}
                (Err(_), _) => process::signal(self.pid, Signal::SIGKILL),
            }
        }
    }
}
