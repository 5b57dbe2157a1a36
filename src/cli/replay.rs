//! This command replays a request that has failed.

use super::{Capabilities, Cli, Serve};
use clap::{Args, Parser};
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub struct Replay {
    /// The recording, which --record-failures has written
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// The component to replay it with: the recorded one, wherever it is now, or a changed one [default: the recorded
    /// path, where the same component must be]
    #[arg(long, value_name = "COMPONENT")]
    pub component: Option<PathBuf>,

    /// Print each call of the host with its answer
    #[arg(long)]
    pub trace_calls: bool,

    /// Request that was answered before anybody was served, as the server was given it
    #[arg(long, value_name = "REQUEST", env = "WASMSERVE_PRIME")]
    pub prime: Vec<String>,

    /// Field of these requests
    #[arg(long, value_name = "FIELD", env = "WASMSERVE_PRIME_HEADER")]
    pub prime_header: Vec<String>,

    /// Memory of the instance, as the server was given it
    #[arg(
        long,
        default_value = "512MiB",
        value_name = "SIZE",
        env = "WASMSERVE_MAX_MEMORY"
    )]
    pub max_memory: String,

    /// Processor time that the guest may use, as the server was given it
    #[arg(
        long,
        default_value = "30s",
        value_name = "DURATION",
        env = "WASMSERVE_LIMIT_CPU"
    )]
    pub limit_cpu: String,

    /// Keep compiled code in this directory [default: $XDG_CACHE_HOME/wasmserve]
    #[arg(long, value_name = "DIR", env = "WASMSERVE_CACHE_DIR")]
    pub cache_dir: Option<PathBuf>,

    #[command(flatten)]
    pub capabilities: Capabilities,
}

impl Replay {
    /// Returns the options of a server that would serve this component alike.
    pub fn serve(&self, component: &Path) -> Serve {
        let mut serve = Cli::parse_from(["wasmserve".as_ref(), component.as_os_str()]).serve;
        serve.capabilities = self.capabilities.clone();
        serve.capabilities.before_start.clear();
        serve.instances.prime = self.prime.clone();
        serve.instances.prime_header = self.prime_header.clone();
        serve.instances.max_memory = self.max_memory.clone();
        serve.instances.limit_cpu = self.limit_cpu.clone();
        // What the environment grants servers is not for a replay, which asks nobody.
        serve.outbound.allow_net.clear();
        serve.databases.postgres.clear();
        serve.databases.sqlite.clear();
        serve.instances.record_failures = None;
        serve.instances.coredump_dir = None;
        serve.instances.profile_guest = None;
        serve.instances.profile_dir = None;
        serve.code.cache_dir = self.cache_dir.clone();
        serve
    }
}
