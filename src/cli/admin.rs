//! These options say where the server is watched and steered, and these commands do so.

use crate::channel::WorkerRange;
use clap::{Args, Subcommand, value_parser};
use std::path::PathBuf;

#[derive(Clone, Debug, Args)]
pub struct Admin {
    /// Serve /livez, /readyz, /metrics and /status here: HOST:PORT, or unix:PATH for the owner alone
    #[arg(
        long,
        value_name = "ADDR",
        env = "WASMSERVE_ADMIN",
        help_heading = "Processes"
    )]
    pub admin: Option<String>,

    /// Open no socket by which `wasmserve status`, `reload` and the like find this server
    #[arg(long, env = "WASMSERVE_NO_ADMIN", help_heading = "Processes")]
    pub no_admin: bool,
}

/// Commands to a server that runs.
#[derive(Debug, Subcommand)]
pub enum Control {
    /// Print the last lines of a running server's log; --follow prints new ones as they come
    Logs(Logs),
    /// Have a running server write profiles of what its guests run
    Profile(MakeProfile),
    /// Have a running server give its canary's version to all workers, and wait until they have it
    Promote(SteeredServer),
    /// Have a running server reload, and wait until the new version is served
    Reload(Reload),
    /// Have a worker of a running server replaced
    RestartWorker(RestartWorker),
    /// Have a running server end its canary, and go on with the version that it serves
    Rollback(SteeredServer),
    /// Change how many workers a running server has
    Scale(Scale),
    /// Show the state of a running server
    Status(StatusOf),
    /// Have a running server stop, and wait until it has
    Stop(RunningServer),
    /// Watch a running server in the terminal
    Top(Top),
}

/// A `RunningServer` names one of the servers that run.
#[derive(Debug, Args)]
pub struct RunningServer {
    /// The server whose supervisor is this process, where several run
    #[arg(long, value_name = "PID")]
    pub pid: Option<i32>,

    /// The server that listens on this Unix socket (--admin unix:PATH)
    #[arg(long, value_name = "PATH", conflicts_with = "pid")]
    pub socket: Option<PathBuf>,

    /// Time that this may take
    #[arg(long, default_value = "5m", value_name = "DURATION")]
    pub timeout: String,
}

/// A `SteeredServer` is one of the servers that run, or what is mounted in it.
#[derive(Debug, Args)]
pub struct SteeredServer {
    /// Steer what is mounted there, such as /api or admin.example.com/, and nothing else
    #[arg(long, value_name = "WHERE")]
    pub mount: Option<String>,

    #[command(flatten)]
    pub server: RunningServer,
}

#[derive(Debug, Args)]
pub struct Reload {
    /// Compare the new version with the old one first, as the server's --canary options say, by 10% of its workers
    /// where they name no share
    #[arg(long)]
    pub canary: bool,

    #[command(flatten)]
    pub steered: SteeredServer,
}

#[derive(Debug, Args)]
pub struct StatusOf {
    #[command(flatten)]
    pub server: RunningServer,

    /// Print the whole document as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Logs {
    #[command(flatten)]
    pub server: RunningServer,

    /// Go on until the server ends
    #[arg(long, short)]
    pub follow: bool,

    /// How many of the last lines to print, at most
    #[arg(long, short = 'n', default_value = "50", value_name = "COUNT")]
    pub lines: usize,

    /// Only lines of requests
    #[arg(long)]
    pub access: bool,

    /// Only lines of this level, or of a more important one: critical, error, warning, info, debug or trace
    #[arg(long, default_value = "trace", value_name = "LEVEL")]
    pub level: String,
}

#[derive(Debug, Args)]
pub struct MakeProfile {
    /// For how many seconds, 1 to 600
    #[arg(value_name = "SECONDS", value_parser = value_parser!(u16).range(1..=600))]
    pub seconds: u16,

    /// Profile the worker with this process number, and no other
    #[arg(long, value_name = "WORKER_PID", value_parser = value_parser!(i32).range(2..1 << 22))]
    pub worker: Option<i32>,

    /// Write the worker's profile into this file, too
    #[arg(long, short, value_name = "FILE", requires = "worker")]
    pub output: Option<PathBuf>,

    #[command(flatten)]
    pub steered: SteeredServer,
}

#[derive(Debug, Args)]
pub struct Top {
    #[command(flatten)]
    pub server: RunningServer,

    /// Time between two readings of the server's state
    #[arg(long, default_value = "1s", value_name = "DURATION")]
    pub interval: String,
}

#[derive(Debug, Args)]
pub struct Scale {
    /// How many worker processes there should be: 4, or 2..8 for a number that follows the load
    #[arg(value_name = "WORKERS")]
    pub workers: WorkerRange,

    #[command(flatten)]
    pub steered: SteeredServer,
}

#[derive(Debug, Args)]
pub struct RestartWorker {
    /// The worker's process
    #[arg(value_name = "WORKER_PID")]
    pub worker: i32,

    #[command(flatten)]
    pub steered: SteeredServer,
}
