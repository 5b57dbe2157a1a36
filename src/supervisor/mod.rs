//! The supervisor keeps the workers: it forks, replaces and ends them. It has one thread, no runtime, no HTTP, no
//! engine; what its children do is unknown to it.

mod admin;
mod attempt;
mod backoff;
mod changes;
mod children;
mod clock;
mod code_files;
mod event_loop;
mod event_sources;
mod exporter;
mod forker;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod handover;
mod job_history;
mod jobs;
mod log_writer;
mod mount_scoreboards;
mod mount_server;
mod mounts;
mod notify;
mod pending_workers;
mod perform;
mod policy;
mod primer;
mod settings;
mod single_task;
mod slots;
mod status_report;
mod step;
mod successor;
mod zygote;

pub use admin::AdminContext;
pub use code_files::Code;
pub use event_loop::{resume, run};
pub use exporter::ExporterContext;
pub use settings::{
    CanarySettings, CodeSettings, CompileLimits, JobSettings, Settings, WithoutTraffic,
};
pub use status_report::Served;
pub use successor::predecessor;

use crate::channel::{CodeInfo, CommandReceiver, LeftListener, LeftMount, Reporter};
use crate::scoreboard::Scoreboard;
use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

/// `Roles` says what the children do, and what is known of the application.
pub trait Roles: Sized {
    /// A `Loaded` is the application, ready to be served.
    type Loaded;
    /// These are the sockets that are listened on.
    type Sockets: Sockets;
    /// These are the sockets of what is mounted.
    type MountSockets: MountSockets;

    /// Does this, in a process of its own.
    fn run(&self, task: ChildTask<'_>) -> anyhow::Result<()>;
    /// Makes code of the application, of the steps before the start and of the periodic jobs in these files, in a
    /// process of its own, and tells of each. Gives the application, loaded, where it is to be shared and no thread was
    /// needed for all of this.
    fn prepare(&self, reporter: &Reporter, files: &[File]) -> anyhow::Result<Option<Self::Loaded>>;
    /// Loads the code that was compiled, and the primed snapshot: as far as that may be carried over a fork.
    fn load(&self, code: &Code) -> anyhow::Result<Self::Loaded>;
    /// Keeps the process that workers are forked from, once it has loaded the code, to forking them.
    fn confine_zygote(&self) -> anyhow::Result<()>;
    /// Serves, in a process of its own.
    fn serve(&self, loaded: Self::Loaded, context: WorkerContext) -> anyhow::Result<()>;

    /// Returns how long pulling the application may take, where it is to be pulled before it is compiled.
    fn pulls(&self) -> Option<Duration>;
    /// Says whether an instance of this code is primed before there are workers.
    fn primes(&self, info: CodeInfo) -> bool;
    /// Returns how many bytes a primed snapshot has at most.
    fn largest_snapshot(&self) -> u64;
    /// Reads the configuration again.
    fn reload(&self) -> anyhow::Result<Self>;
    fn settings(&self) -> &Settings;
    /// Lists the files whose change causes a reload, where that is wanted.
    fn watched(&self) -> Vec<PathBuf>;
    /// Says whether there is an admin process also while nobody connects to its sockets.
    fn has_admin_always(&self) -> bool;
    /// Says whether spans are exported: by a number that another version does not have which wants it otherwise.
    fn exporter(&self) -> Option<u64>;
    /// Describes the version that is served, as JSON.
    fn describe(&self, served: &Served) -> String;
    /// Tells others by files that the server serves, where that is wanted.
    fn serving(&self);

    /// Returns where this server itself is mounted in another, which is its parent; none where it stands for itself.
    fn mounted_at(&self) -> Option<&str>;
    /// Returns the channel by which that parent passes on what the operator orders; none where it stands for itself.
    fn orders(&self) -> Option<&CommandReceiver>;
    /// Says in the log's words where the server is reached.
    fn announcement(&self) -> Vec<String>;
    /// Says whether there is an application, and not only what is mounted.
    fn has_application(&self) -> bool;
    /// Names what is mounted beside the application, each with a server of its own.
    fn mounts(&self) -> Vec<String>;
    /// Returns how many slots the scoreboard of that server needs.
    fn mount_slots(&self, name: &str) -> usize;
    /// Returns the sockets of those servers.
    fn mount_sockets(&self) -> &RefCell<Self::MountSockets>;
    /// Returns the sockets that clients connect to.
    fn sockets(&self) -> &RefCell<Self::Sockets>;
    /// Returns the sockets of the admin process.
    fn admin_sockets(&self) -> &RefCell<Self::Sockets>;
    /// Repairs what was done to the listening sockets, and says whether those who hold them are to be replaced.
    fn repair_sockets(&self) -> bool;
}

/// A `ChildTask` is what a process is forked for that neither makes code nor serves.
pub enum ChildTask<'a> {
    /// Pull the application.
    Pull,
    /// Take the step before the start with this index, which has this code.
    Step { index: usize, code: &'a Code },
    /// Run the periodic job with this index, which has this code.
    Job { index: usize, code: &'a Code },
    /// Prime an instance of this code, and write into the snapshot what it is then; nothing where no other instance
    /// can begin as it is.
    Prime { code: &'a Code, snapshot: &'a File },
    /// Answer questions about the server.
    Administer(AdminContext),
    /// Export spans.
    Export(ExporterContext),
    /// Write the logs, until these orders end.
    WriteLogs(OwnedFd),
    /// Be the server of what is mounted by this name, and say so when it is ready.
    ServeMount {
        name: &'a str,
        reporter: Rc<Reporter>,
        orders: CommandReceiver,
        scoreboard: Scoreboard,
    },
}

/// `MountSockets` are those at which the servers listen of what is mounted, by the names of the mounts.
pub trait MountSockets {
    /// Returns the descriptor that the server of a mount listens at.
    fn listening(&self, name: &str) -> io::Result<RawFd>;
    /// Gives a further descriptor of it.
    fn duplicate(&self, name: &str) -> io::Result<OwnedFd>;
    /// Lists the descriptors that whoever connects to them must keep.
    fn files(&self) -> Vec<RawFd>;
    /// Makes those anew that do not listen any more, and names them.
    fn repair(&mut self) -> Vec<String>;
    /// Says of each what the executable must know that it is left to, but for its process.
    fn left(&self) -> Vec<LeftMount>;
}

/// `Sockets` are those that one kind of process listens on, from the first version of the configuration to the last.
pub trait Sockets {
    /// Says of each what the executable must know that it is left to.
    fn left(&self) -> Vec<LeftListener>;
    /// Says how many connections wait at each address, where that is known.
    fn backlogs(&self) -> Vec<Option<u32>>;
    /// Gives further descriptors of them.
    fn duplicates(&self) -> Vec<OwnedFd>;
    /// Takes no more connections.
    fn close(&mut self);

    /// Lists the descriptors that whoever listens must keep.
    fn descriptors(&self) -> Vec<RawFd> {
        self.left().iter().map(|left| left.fd).collect()
    }
}

/// A `WorkerContext` has everything that a worker is given.
pub struct WorkerContext {
    /// The worker's slot of the scoreboard has this index.
    pub slot: usize,
    pub reporter: Rc<Reporter>,
    /// The lifeline comes to its end when the supervisor does.
    pub lifeline: OwnedFd,
    pub scoreboard: Rc<Scoreboard>,
    /// The worker reports after this many requests that it is spent.
    pub max_requests: Option<u64>,
}

/// Computes how many slots the scoreboard needs: workers that leave keep theirs while their replacements serve.
pub fn slots(settings: &Settings) -> usize {
    2 * most_workers(settings)
}

/// Computes how many workers may be asked for by signal.
fn most_workers(settings: &Settings) -> usize {
    (2 * settings.workers.most()).max(32)
}
