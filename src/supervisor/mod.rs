//! Keeps the workers: forks them, replaces them, ends them. One thread, no runtime, no HTTP, no
//! engine; what its children do is unknown to it.

mod admin;
mod attempt;
mod backoff;
mod changes;
mod children;
mod clock;
mod code_files;
mod exporter;
mod forker;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod handover;
mod listen;
mod log_writer;
mod notify;
mod orders;
mod perform;
mod policy;
mod primer;
mod publish;
mod run;
mod settings;
mod single_task;
mod slots;
mod step;
mod successor;
mod zygote;

pub use admin::AdminContext;
pub use exporter::ExporterContext;
pub use publish::Served;
pub use run::{resume, run};
pub use settings::{CodeSettings, CompileLimits, Settings, WorkerBounds};
pub use successor::adopted;

use crate::channel::Reporter;
use crate::scoreboard::Scoreboard;
use std::fs::File;
use std::os::fd::{OwnedFd, RawFd};
use std::path::PathBuf;
use std::rc::Rc;

/// What the children do, and what is known of the application.
pub trait Roles: Sized {
    /// The application, loaded.
    type Loaded;

    /// Makes code of the application and of the steps before the start in these files, in a process of its own, and
    /// tells of each. Gives the application, loaded, where it is to be shared and no thread was needed for all of this.
    fn prepare(&self, reporter: &Reporter, files: &[File]) -> anyhow::Result<Option<Self::Loaded>>;
    /// Takes the step before the start with this index, of which there is code, in a process of its own.
    fn take_step(&self, index: usize, code: &OwnedFd, note: &str) -> anyhow::Result<()>;
    /// Whether an instance of code of which this was noted is primed before there are workers.
    fn primes(&self, note: &str) -> bool;
    /// Primes one in a process of its own, and writes down in this file what it is then; nothing where no other instance
    /// can begin as it is.
    fn prime(&self, code: &OwnedFd, note: &str, snapshot: &File) -> anyhow::Result<()>;
    /// Whether loading code of which this was noted takes so much that workers are to share what comes of it.
    fn is_shared(&self, note: &str) -> bool;
    /// Loads the code that was compiled, of which this was noted, and the primed snapshot: as far as that may be carried
    /// over a fork.
    fn load(
        &self,
        code: &OwnedFd,
        note: &str,
        primed: Option<&OwnedFd>,
    ) -> anyhow::Result<Self::Loaded>;
    /// Keeps the process that workers are forked from, once it has loaded the code, to forking them.
    fn confine_zygote(&self) -> anyhow::Result<()>;
    /// Serves, in a process of its own.
    fn serve(&self, loaded: Self::Loaded, context: WorkerContext) -> anyhow::Result<()>;
    /// Reads the configuration again.
    fn reload(&self) -> anyhow::Result<Self>;
    fn settings(&self) -> &Settings;
    /// The files whose change causes a reload, where that is wanted.
    fn watched(&self) -> Vec<PathBuf>;
    /// The server serves: what is to be told to others by files is told.
    fn serving(&self);
    /// Where it listens, one URL an address.
    fn addresses(&self) -> Vec<String>;
    /// The listening sockets, each with what another executable must know to take it over.
    fn sockets(&self) -> Vec<(RawFd, String)>;
    /// How many connections wait at each address, where that is known.
    fn backlogs(&self) -> Vec<Option<u32>>;
    /// Repairs what was done to the listening sockets. True where who holds them is to be replaced.
    fn mend_sockets(&self) -> bool;
    /// The sockets of the admin process, by further descriptors of them.
    fn admin_sockets(&self) -> Vec<OwnedFd>;
    /// The sockets of the admin process, each with what another executable must know to take it over.
    fn admin_descriptors(&self) -> Vec<(RawFd, String)>;
    /// Whether there is an admin process also while nobody connects to its sockets.
    fn has_admin_always(&self) -> bool;
    /// Answers questions about the server, in a process of its own.
    fn administer(&self, context: AdminContext) -> anyhow::Result<()>;
    /// Whether spans are exported: a number that another version does not have which wants it otherwise.
    fn exporter(&self) -> Option<u64>;
    /// Exports spans, in a process of its own.
    fn export(&self, context: ExporterContext) -> anyhow::Result<()>;
    /// What there is to say about the version that is served, as JSON.
    fn describe(&self, served: &Served<'_>) -> String;
    /// Writes the logs, in a process of its own, until it is told by this to end.
    fn write_logs(&self, orders: OwnedFd) -> anyhow::Result<()>;
    /// Takes no more connections.
    fn close(&self);
}

/// Everything that a worker is given.
pub struct WorkerContext {
    /// Index of its slot of the scoreboard.
    pub slot: usize,
    pub reporter: Rc<Reporter>,
    /// Comes to its end when the supervisor does.
    pub lifeline: OwnedFd,
    pub scoreboard: Rc<Scoreboard>,
    /// Requests after which the worker reports that it is spent.
    pub max_requests: Option<u64>,
}

/// Slots that the scoreboard needs: workers that leave keep theirs while their replacements serve.
pub fn slots(settings: &Settings) -> usize {
    2 * most_workers(settings)
}

/// How many workers may be asked for by signal.
fn most_workers(settings: &Settings) -> usize {
    (2 * settings.workers.most.get()).max(32)
}
