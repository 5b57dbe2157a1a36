//! This room is the command line: one field for each flag. What the values mean is decided in `config`.

// Comments on fields are the text of `--help`: brackets and addresses in them are no links.
#![allow(rustdoc::bare_urls, rustdoc::broken_intra_doc_links)]

mod addresses;
mod admin;
mod build;
mod canary;
mod capabilities;
mod clients;
mod code;
mod component;
mod config_file;
mod databases;
mod elsewhere;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod headers;
pub mod honoured;
mod instances;
mod logging;
mod misplaced;
mod mounts;
mod not_utf8;
mod opposites;
mod outbound;
mod pages;
mod parse;
mod processes;
mod registry;
mod replay;
mod requests;
mod sandbox;
mod tls;
mod tracing;
mod unit;
pub mod websockets;

pub use addresses::Addresses;
pub use admin::{
    Admin, Control, Logs, MakeProfile, Reload, RestartWorker, RunningServer, Scale, StatusOf,
    SteeredServer, Top,
};
pub use build::{Build, Dev, Language, New};
pub use canary::{Canary, WithoutTraffic};
pub use capabilities::Capabilities;
pub use clients::Clients;
pub use code::{CompileOptions, OptLevel};
pub use component::{Compile, Inspect};
pub use databases::Databases;
pub use headers::Headers;
pub use instances::Instances;
pub use logging::Logging;
pub use misplaced::{no_component, to_build};
pub use mounts::{Mounted, Mounts};
pub use outbound::Outbound;
pub use pages::{Completions, Manual, print_completions, write_manual};
pub use parse::{OptionOrigin, parse, told};
pub use processes::Processes;
pub use registry::{ClearRegistries, Pull, PullWhen, Push, Registry};
pub use replay::Replay;
pub use requests::Requests;
pub use sandbox::Sandbox;
pub use tls::Tls;
pub use tracing::Tracing;
pub use unit::Unit;
pub use websockets::WebSockets;

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Serve a WASI HTTP component from several worker processes behind one shared listener.
#[derive(Debug, Parser)]
#[command(
    name = "wasmserve",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "Durations are written 300ms, 5s, 2m (a bare number is seconds), sizes 64MiB or 64MB \
                  (a bare number is bytes)."
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,

    #[command(flatten)]
    pub serve: Serve,
}

impl Cli {
    /// Returns the options of serving, where the command has them.
    fn serving(&mut self) -> Option<&mut Serve> {
        match &mut self.command {
            None => Some(&mut self.serve),
            Some(Command::Check(serve)) => Some(serve),
            Some(Command::Unit(order)) => Some(&mut order.serve),
            Some(_) => None,
        }
    }
}

/// An `OptionSource` says where the value of an option comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionSource {
    CommandLine,
    Environment,
    File,
    Default,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a component of a project, with the toolchain of its language
    Build(Build),
    /// Check the options and the component, print the settings that would be used, and serve nothing
    Check(Box<Serve>),
    /// Print a script that makes a shell complete command lines of wasmserve
    Completions(Completions),
    /// Compile a component to native code, to be served with --allow-precompiled
    Compile(Compile),
    /// Build a project, serve it, and do so again whenever it changes
    Dev(Dev),
    /// Show what a component is, what it imports, and whether it can be served
    Inspect(Inspect),
    /// Print the manual page
    Man(Manual),
    /// Write a small example project to start from
    New(New),
    /// Pull a component from a registry into the cache
    Pull(Pull),
    /// Push a component to a registry
    Push(Push),
    /// Replay a request that has failed, from a recording of --record-failures
    Replay(Box<Replay>),
    #[command(flatten)]
    Control(Control),
    /// Print a hardened service and its socket for systemd, for this command line of wasmserve
    Unit(Box<Unit>),
}

#[derive(Clone, Debug, Args)]
pub struct Serve {
    /// The component to serve: a file in binary or text form, or oci://registry/name:tag
    #[arg(
        value_name = "COMPONENT",
        required_unless_present = "mount",
        env = "WASMSERVE_COMPONENT"
    )]
    pub component: Option<PathBuf>,

    /// Read options from this file (TOML), by their long names
    #[arg(
        long,
        value_name = "FILE",
        env = "WASMSERVE_CONFIG_FILE",
        help_heading = "Processes"
    )]
    pub config_file: Option<PathBuf>,

    #[command(flatten)]
    pub addresses: Addresses,

    #[command(flatten)]
    pub processes: Processes,

    #[command(flatten)]
    pub mounts: Mounts,

    #[command(flatten)]
    pub canary: Canary,

    #[command(flatten)]
    pub sandbox: Sandbox,

    #[command(flatten)]
    pub admin: Admin,

    #[command(flatten)]
    pub requests: Requests,

    #[command(flatten)]
    pub clients: Clients,

    #[command(flatten)]
    pub websockets: WebSockets,

    #[command(flatten)]
    pub tls: Tls,

    #[command(flatten)]
    pub instances: Instances,

    #[command(flatten)]
    pub headers: Headers,

    #[command(flatten)]
    pub capabilities: Capabilities,

    #[command(flatten)]
    pub databases: Databases,

    #[command(flatten)]
    pub outbound: Outbound,

    #[command(flatten)]
    pub code: CompileOptions,

    #[command(flatten)]
    pub registry: Registry,

    #[command(flatten)]
    pub logging: Logging,

    #[command(flatten)]
    pub tracing: Tracing,
}
