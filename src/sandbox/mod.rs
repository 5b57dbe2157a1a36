//! This room keeps each process beneath the supervisor to what it may still ask of the kernel once it meets what
//! others control: a second wall behind WebAssembly's. A process gives up its rights for good; what was open stays
//! open.

mod calls;
mod file_access;
mod reach;
mod resolver;
mod run_as;

pub use run_as::RunAs;

use crate::sys::privileges::{self, CAP_DAC_READ_SEARCH};
use crate::sys::socket::{self, OpenSocket};
use anyhow::{Context, Result, bail};
use nix::sys::prctl;
use std::path::PathBuf;
use std::sync::Arc;

/// A `SandboxMode` says what is done where the kernel cannot enforce all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SandboxMode {
    /// What the kernel can enforce is enforced, and the log says what is missing.
    #[default]
    Auto,
    /// Nothing is served.
    Strict,
    /// Nothing is enforced.
    Off,
}

/// A `Role` says what a process is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Reads the component, makes native code of it, and runs it once to see that it starts.
    Compiler,
    /// The process runs a component before the start.
    Step,
    /// The process forks workers.
    Zygote,
    /// The process serves.
    Worker,
    /// The process answers questions about the server.
    Admin,
    /// Writes logs to files that are open.
    Log,
    /// Sends spans to a collector.
    Exporter,
    /// The process speaks to a registry.
    Registry,
}

/// `Grants` says what guests were given of the machine, and so what the processes that they run in may use of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// Files are read in the first of these directories, and written too in the others.
    pub readable: Vec<PathBuf>,
    pub writable: Vec<PathBuf>,
    /// SQLite has a database in one of them.
    pub database: bool,
    /// Names are looked up, and anybody is connected to.
    pub connects: bool,
    /// This is the only TCP port that is connected to, where there is only one, besides that of name servers.
    pub port: Option<u16>,
    /// These Unix sockets are connected to.
    pub unix_sockets: Vec<PathBuf>,
    /// These Unix sockets too, which have no name but that of a descriptor: behind them are the components that are
    /// mounted.
    pub mounts: Vec<PathBuf>,
}

/// A `Sandbox` says what the processes of one configuration are kept to.
#[derive(Clone, Debug, Default)]
pub struct Sandbox {
    pub mode: SandboxMode,
    /// The processes run as this user, where that is another.
    pub run_as: Option<RunAs>,
    pub grants: Grants,
    /// The compiler reads these files.
    pub sources: Vec<PathBuf>,
    /// The compiler finds code in this directory.
    pub cache: Option<PathBuf>,
}

/// `Missing` lists what this kernel cannot enforce.
pub type Missing = Vec<&'static str>;

/// This is the least version of landlock that has all that is promised: signals are kept in since Linux 6.12.
const COMPLETE: u32 = 6;

impl Grants {
    /// Says whether any Unix socket is connected to.
    fn connects_unix(&self) -> bool {
        !(self.unix_sockets.is_empty() && self.mounts.is_empty())
    }
}

impl Sandbox {
    /// Returns the same for a server that has components mounted beside its application, behind these sockets.
    pub fn with_mounts(&self, sockets: Vec<PathBuf>) -> Arc<Sandbox> {
        let mut sandbox = self.clone();
        sandbox.grants.mounts = sockets;
        Arc::new(sandbox)
    }

    /// Checks that this kernel can do what is demanded of it.
    pub fn check(&self) -> Result<()> {
        if self.mode != SandboxMode::Strict {
            return Ok(());
        }
        match privileges::landlock_version() {
            None => bail!("this kernel has no landlock, or it is not switched on"),
            Some(version) if version < COMPLETE => bail!(
                "this kernel has version {version} of landlock, and it takes version {COMPLETE} (Linux 6.12)"
            ),
            Some(_) if !privileges::has_seccomp() => bail!("this kernel has no seccomp"),
            Some(_) => Ok(()),
        }
    }

    /// Does what a process does first. It may be done again.
    pub fn begin(&self) -> Result<()> {
        if let Some(run_as) = &self.run_as {
            run_as.assume()?;
        }
        if self.mode != SandboxMode::Off {
            // Another user's process, or a fork of one that is not dumpable, cannot open its own /proc/self/pagemap.
            privileges::set_dumpable(true);
            privileges::leave_no_core_file();
            privileges::leave_session();
        }
        Ok(())
    }

    /// Keeps this thread, and those that it starts, to what the role needs from here on. Returns what this kernel
    /// cannot enforce.
    pub fn enter(&self, role: Role) -> Result<Missing> {
        if self.mode == SandboxMode::Off {
            return Ok(Vec::new());
        }
        self.confine(role)
            .context("the sandbox cannot be set up; `--sandbox off` does without")
    }

    fn confine(&self, role: Role) -> Result<Missing> {
        if self.grants.connects {
            resolver::load();
        }
        let sockets = socket::open_sockets().context("its sockets cannot be listed")?;
        if self.grants.connects && sockets.iter().any(OpenSocket::accepts_unix) {
            resolver::ask_one_by_one();
        }
        prctl::set_no_new_privs().context("privileges cannot be given up")?;
        // An operator who is root may serve what lies in the home of somebody else.
        let kept: &[u32] = match role {
            Role::Compiler => &[CAP_DAC_READ_SEARCH],
            Role::Step
            | Role::Zygote
            | Role::Worker
            | Role::Admin
            | Role::Log
            | Role::Exporter
            | Role::Registry => &[],
        };
        privileges::drop_capabilities(kept).context("capabilities cannot be given up")?;
        privileges::set_dumpable(false);
        let mut missing = Missing::new();
        if !file_access::restrict(self, role).context("landlock refuses")? {
            missing.push("landlock");
        }
        if !calls::restrict(&self.grants, role, &sockets).context("seccomp refuses")? {
            missing.push("seccomp");
        }
        if self.mode == SandboxMode::Strict && !missing.is_empty() {
            bail!("the kernel has no {}", missing.join(" and no "));
        }
        Ok(missing)
    }
}
