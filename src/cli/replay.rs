//! This command replays a request that has failed.

use super::mounts::without_variables;
use super::{Capabilities, Cli, Serve};
use clap::{Args, CommandFactory, FromArgMatches};
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
    /// Returns the options of a server that would serve this component alike. Variables count where this command has
    /// the option: what else they tell servers is not for a replay, which serves nobody and asks nobody.
    /// Directories are for an application that is primed and reads them again; it writes nothing.
    pub fn serve(&self, component: &Path, reads_again: bool) -> Result<Serve, clap::Error> {
        let command = without_variables(&Cli::command());
        // A name may be that of a command, or begin with a hyphen.
        let matches = command.try_get_matches_from(["wasmserve", "component.wasm"])?;
        let mut serve = Cli::from_arg_matches(&matches)?.serve;
        serve.component = Some(component.to_owned());
        serve.capabilities = self.capabilities.clone();
        serve.capabilities.before_start.clear();
        serve.capabilities.every.clear();
        serve.capabilities.keyvalue = None;
        let writable = std::mem::take(&mut serve.capabilities.dir_rw);
        serve.capabilities.dir.extend(writable);
        if !reads_again {
            serve.capabilities.dir.clear();
        }
        serve.instances.prime = self.prime.clone();
        serve.instances.prime_header = self.prime_header.clone();
        serve.instances.max_memory = self.max_memory.clone();
        serve.instances.limit_cpu = self.limit_cpu.clone();
        serve.code.cache_dir = self.cache_dir.clone();
        Ok(serve)
    }
}
