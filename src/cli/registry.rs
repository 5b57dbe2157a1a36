//! Components may come from registries: these options say how they are pulled before they are served, and these
//! commands pull and push.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// `Registry` says how a component that is named by `oci://…` is pulled.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Registry")]
pub struct Registry {
    /// When a registry is asked what a tag means: where the component is not in the cache, or at each start and reload
    #[arg(
        long,
        value_enum,
        default_value_t = PullWhen::Missing,
        value_name = "WHEN",
        env = "WASMSERVE_PULL"
    )]
    pub pull: PullWhen,

    /// Time that pulling the component may take
    #[arg(
        long,
        default_value = "10m",
        value_name = "DURATION",
        env = "WASMSERVE_TIMEOUT_PULL"
    )]
    pub timeout_pull: String,

    #[command(flatten)]
    pub clear: ClearRegistries,
}

/// `ClearRegistries` names registries without TLS.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Registry")]
pub struct ClearRegistries {
    /// Use HTTP without TLS for this registry; without it, only a registry on this machine is reached so. Can be repeated
    #[arg(
        long,
        value_name = "HOST[:PORT]",
        env = "WASMSERVE_REGISTRY_HTTP",
        value_delimiter = ','
    )]
    pub registry_http: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PullWhen {
    Missing,
    Always,
}

#[derive(Debug, Args)]
pub struct Pull {
    /// What to pull, as oci://registry/name:tag or oci://registry/name@sha256:…
    #[arg(value_name = "REFERENCE")]
    pub reference: String,

    /// Write the component to this file too
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Keep it in this directory [default: $XDG_CACHE_HOME/wasmserve]
    #[arg(long, value_name = "DIR", env = "WASMSERVE_CACHE_DIR")]
    pub cache_dir: Option<PathBuf>,

    #[command(flatten)]
    pub clear: ClearRegistries,
}

#[derive(Debug, Args)]
pub struct Push {
    /// The component, in binary or text form
    #[arg(value_name = "COMPONENT")]
    pub component: PathBuf,

    /// Where to push it to, as oci://registry/name:tag
    #[arg(value_name = "REFERENCE")]
    pub reference: String,

    #[command(flatten)]
    pub clear: ClearRegistries,
}
