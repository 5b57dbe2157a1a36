//! The admin process answers questions about the server from what stands in the scoreboard, so that it answers however
//! busy the workers are, and passes commands on to the supervisor. It serves nobody else's requests.

mod commands;
mod exposition;
mod health;
mod logs;
mod metrics;
mod open_connections;
mod order;
mod page;
mod profiles;
mod reading;
mod server;
mod status;

use crate::channel::CommandSender;
use crate::scoreboard::Scoreboard;
use crate::sys::socket::Listening;
use anyhow::{Context, Result};
use commands::Commands;
use open_connections::OpenConnections;
use page::Page;
use server::{Mount, Server};
use std::rc::Rc;
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::unix::pipe;
use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::{Builder, LocalOptions};
use tokio::task::spawn_local;
use tokio::time::timeout;

/// The process ends after this long without a question, where it is there only while somebody asks.
const IDLE: Duration = Duration::from_secs(60);

/// Whoever reads the log may take this long for its last lines.
const LAST: Duration = Duration::from_millis(400);

/// `Admin` is what the process is given.
pub struct Admin {
    pub listeners: Vec<Listening>,
    pub scoreboard: Rc<Scoreboard>,
    pub mounts: Vec<MountedServer>,
    pub commands: CommandSender,
    /// The process stays when nobody asks anything.
    pub stays: bool,
}

/// A `MountedServer` is the server of a component that is mounted beside the application.
pub struct MountedServer {
    /// It is mounted there.
    pub name: String,
    pub component: String,
    /// The supervisor counts it so, and its scoreboard is this one; none where it has never run.
    pub running: Option<(u16, Rc<Scoreboard>)>,
}

impl Admin {
    /// Serves until nobody has asked for long; `confine` gives up the rights that this does not take.
    pub fn run(self, confine: impl FnOnce() -> Result<()>) -> Result<()> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build_local(LocalOptions::default())
            .context("cannot start the loop of the admin process")?;
        runtime.block_on(self.serve(confine))
    }

    async fn serve(self, confine: impl FnOnce() -> Result<()>) -> Result<()> {
        let open = Rc::new(OpenConnections::default());
        let mut listening = Vec::new();
        for listener in self.listeners {
            listening.push(match listener {
                Listening::Tcp(socket) => Accepts::Tcp(TcpListener::from_std(socket)?),
                Listening::Unix(socket) => Accepts::Unix(UnixListener::from_std(socket)?),
            });
        }
        let supervisor = self.commands.watched();
        let supervisor = supervisor.context("cannot watch the supervisor")?;
        let supervisor =
            pipe::Sender::from_owned_fd(supervisor).context("cannot watch the supervisor")?;
        confine()?;
        let commands = Rc::new(self.commands);
        let mounts = self.mounts.into_iter().map(|mount| Mount {
            name: mount.name,
            component: mount.component,
            commands: mount
                .running
                .map(|(index, scoreboard)| Commands::new(scoreboard, &commands, Some(index))),
        });
        let server = Rc::new(Server {
            mounts: mounts.collect(),
            commands: Commands::new(self.scoreboard.clone(), &commands, None),
            scoreboard: self.scoreboard,
            page: Page::new(),
            followers: Rc::default(),
            ends: Rc::default(),
        });
        let ends = server.ends.clone();
        for accepts in listening {
            let (server, open) = (server.clone(), open.clone());
            spawn_local(async move {
                match accepts {
                    Accepts::Tcp(socket) => server.accept_tcp(&socket, &open).await,
                    Accepts::Unix(socket) => server.accept_unix(&socket, &open).await,
                }
            });
        }
        tokio::select! {
            // It reads no more commands: the server ends.
            _ = supervisor.ready(Interest::ERROR) => {
                ends.set(true);
                let _ = timeout(LAST, open.rested(Duration::ZERO)).await;
            }
            () = open.rested(IDLE), if !self.stays => {}
        }
        Ok(())
    }
}

enum Accepts {
    Tcp(TcpListener),
    Unix(UnixListener),
}
