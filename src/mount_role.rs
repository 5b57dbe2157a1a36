//! This file runs the server of a component that is mounted beside the application as one of the supervisor's children:
//! it is a supervisor itself. It stands in the crate's root, since it names rooms that do not know each other.

use crate::channel::{CommandReceiver, LeftMount, Reporter};
use crate::config::Config;
use crate::listen::MountSockets;
use crate::log;
use crate::roles::ServerRoles;
use crate::scoreboard::Scoreboard;
use crate::supervisor;
use crate::sys::{privileges, process};
use anyhow::{Context, Result};
use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::rc::Rc;

/// A `MountedServer` says where a server is mounted, and tells the one that it is mounted in when it serves.
pub struct MountedServer {
    pub name: String,
    reporter: Cell<Option<Rc<Reporter>>>,
    /// The one that it is mounted in passes these on.
    pub orders: CommandReceiver,
}

impl supervisor::MountSockets for MountSockets {
    fn listening(&self, name: &str) -> io::Result<RawFd> {
        MountSockets::listening(self, name)
    }

    fn duplicate(&self, name: &str) -> io::Result<OwnedFd> {
        MountSockets::duplicate(self, name)
    }

    fn files(&self) -> Vec<RawFd> {
        MountSockets::files(self)
    }

    fn repair(&mut self) -> Vec<String> {
        MountSockets::repair(self)
    }

    fn left(&self) -> Vec<LeftMount> {
        MountSockets::left(self)
    }
}

impl MountedServer {
    /// Tells the server that it is mounted in, once, that it serves.
    pub fn serves(&self) {
        if let Some(reporter) = self.reporter.take() {
            reporter.ready();
        }
    }

    /// Finds the configuration of this mount in that of the whole server.
    pub fn of(&self, config: Config) -> Result<Config> {
        let mut mounts = config.mounts.into_iter();
        let own = mounts.find(|mount| mount.route.name == self.name);
        own.map(|mount| mount.config)
            .with_context(|| format!("mount `{}` is not in the configuration any more", self.name))
    }
}

impl ServerRoles {
    /// Makes the sockets that mounts do not have yet, and lets workers connect to all of them.
    pub fn prepare_mounts(&mut self) -> Result<()> {
        if self.config.mounts.is_empty() {
            return Ok(());
        }
        // Each takes a few.
        process::raise_descriptor_limit();
        let mut mounts = self.mounts.borrow_mut();
        let names = self.config.mounts.iter().map(|mount| &*mount.route.name);
        mounts.prepare(names)?;
        let worker = &mut self.config.worker;
        worker.sandbox = worker.sandbox.with_mounts(mounts.paths());
        Ok(())
    }

    /// Is the server of a mount, until it is told to end.
    pub fn serve_mount(
        &self,
        name: &str,
        reporter: Rc<Reporter>,
        orders: CommandReceiver,
        scoreboard: Scoreboard,
    ) -> Result<()> {
        log::mount::set(name);
        // What a terminal sends to all is for the server that this one is mounted in.
        privileges::leave_session();
        let config = self
            .config
            .mount(name)
            .context("it is not mounted")?
            .clone();
        let listeners = self.mounts.borrow().listeners(name)?;
        let roles = ServerRoles {
            listeners: Rc::new(RefCell::new(listeners)),
            admin: Rc::default(),
            start: self.start.clone(),
            pid_file: Rc::default(),
            mounts: Rc::default(),
            mounted: Some(Rc::new(MountedServer {
                name: name.to_owned(),
                reporter: Cell::new(Some(reporter)),
                orders,
            })),
            config,
        };
        supervisor::run(roles, scoreboard)
    }
}
