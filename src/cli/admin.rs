//! These options say where the server is watched and steered, and these commands do so.

use crate::channel::WorkerRange;
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Admin {
    /// Serve /livez, /readyz, /metrics and /status here: HOST:PORT, or unix:PATH for the owner alone
    #[arg(
        long,
        value_name = "ADDR",
        env = "WASMSERVE_ADMIN",
        help_heading = "Processes"
    )]
    pub admin: Option<String>,

    /// Have no socket by which `wasmserve status`, `reload` and the like find this server
    #[arg(long, env = "WASMSERVE_NO_ADMIN", help_heading = "Processes")]
    pub no_admin: bool,
}

/// Commands to a server that runs.
#[derive(Debug, Subcommand)]
pub enum Control {
    /// Have a running server give its canary's version to all workers, and wait until they have it
    Promote(Running),
    /// Have a running server reload, and wait until the new version is served
    Reload(Reload),
    /// Have a worker of a running server replaced
    RestartWorker(RestartWorker),
    /// Have a running server end its canary, and go on with the version that it serves
    Rollback(Running),
    /// Change how many workers a running server has
    Scale(Scale),
    /// Say how a running server is
    Status(StatusOf),
    /// Have a running server stop, and wait until it has
    Stop(Running),
    /// Watch a running server in the terminal
    Top(Top),
}

/// `Running` names one of the servers that run.
#[derive(Debug, Args)]
pub struct Running {
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

#[derive(Debug, Args)]
pub struct Reload {
    /// Compare the new version with the old one first, as the server's --canary options say, by 10% of its workers
    /// where they name no share
    #[arg(long)]
    pub canary: bool,

    #[command(flatten)]
    pub server: Running,
}

#[derive(Debug, Args)]
pub struct StatusOf {
    #[command(flatten)]
    pub server: Running,

    /// Print the whole document as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Top {
    #[command(flatten)]
    pub server: Running,

    /// Time from one look at the server to the next
    #[arg(long, default_value = "1s", value_name = "DURATION")]
    pub interval: String,
}

#[derive(Debug, Args)]
pub struct Scale {
    /// How many worker processes there should be: 4, or 2..8 for a number that follows the load
    #[arg(value_name = "WORKERS")]
    pub workers: WorkerRange,

    #[command(flatten)]
    pub server: Running,
}

#[derive(Debug, Args)]
pub struct RestartWorker {
    /// The worker's process
    #[arg(value_name = "WORKER_PID")]
    pub worker: i32,

    #[command(flatten)]
    pub server: Running,
}
