//! The command line: one field a flag. What the values mean is decided in `config`.

mod addresses;
mod admin;
mod build;
mod capabilities;
mod clients;
mod code;
mod component;
mod elsewhere;
mod file;
mod front;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod outbound;
mod pages;
mod parse;
mod sandbox;
mod tls;
mod unit;

pub use addresses::Addresses;
pub use admin::{Admin, Control, RestartWorker, Running, Scale, StatusOf};
pub use build::{Build, Dev, Language, New};
pub use capabilities::Capabilities;
pub use clients::Clients;
pub use code::Code;
pub use component::{Compile, Inspect};
pub use elsewhere::to_build;
pub use front::Front;
pub use outbound::Outbound;
pub use pages::{Completions, Manual, print_completions, write_manual};
pub use parse::{Said, parse, told};
pub use sandbox::Sandbox;
pub use tls::Tls;
pub use unit::Unit;

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

/// Where the value of an option comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    CommandLine,
    Environment,
    File,
    Default,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a component of a project, with the toolchain of its language
    Build(Build),
    /// Read everything, say what it comes to, and serve nothing
    Check(Box<Serve>),
    /// Print what a shell needs to complete command lines of wasmserve
    Completions(Completions),
    /// Compile a component to native code, to be served with --allow-precompiled
    Compile(Compile),
    /// Build a project, serve it, and do so again whenever it changes
    Dev(Dev),
    /// Say what a component is, what it imports, and whether it can be served
    Inspect(Inspect),
    /// Print the manual page
    Man(Manual),
    /// Write a small project to begin with
    New(New),
    #[command(flatten)]
    Control(Control),
    /// Print a hardened service and its socket for systemd, for this command line of wasmserve
    Unit(Box<Unit>),
}

#[derive(Debug, Args)]
pub struct Serve {
    /// The component to serve, in binary or text form
    #[arg(value_name = "COMPONENT", required = true, env = "WASMSERVE_COMPONENT")]
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

    /// Worker processes, or `auto`: one for each processor this process may use
    /// [default: $WEB_CONCURRENCY or 1]
    #[arg(short, long, env = "WASMSERVE_WORKERS", help_heading = "Processes")]
    pub workers: Option<String>,

    /// Reload when the component's file changes
    #[arg(long, env = "WASMSERVE_RELOAD", help_heading = "Processes")]
    pub reload: bool,

    /// Time that requests in flight get to finish when a worker is stopped
    #[arg(
        long,
        default_value = "30s",
        value_name = "DURATION",
        env = "WASMSERVE_TIMEOUT_GRACEFUL_SHUTDOWN",
        help_heading = "Processes"
    )]
    pub timeout_graceful_shutdown: String,

    /// Time to go on serving after a stop was asked for, so that load balancers notice
    #[arg(
        long,
        default_value = "0s",
        value_name = "DURATION",
        env = "WASMSERVE_SHUTDOWN_DELAY",
        help_heading = "Processes"
    )]
    pub shutdown_delay: String,

    /// Silence after which a worker is replaced
    #[arg(
        long,
        default_value = "5s",
        value_name = "DURATION",
        env = "WASMSERVE_TIMEOUT_WORKER_HEALTHCHECK",
        help_heading = "Processes"
    )]
    pub timeout_worker_healthcheck: String,

    /// Time a worker may take to get ready
    #[arg(
        long,
        default_value = "60s",
        value_name = "DURATION",
        env = "WASMSERVE_TIMEOUT_WORKER_STARTUP",
        help_heading = "Processes"
    )]
    pub timeout_worker_startup: String,

    /// Replace a worker after this many requests
    #[arg(
        long,
        value_name = "COUNT",
        env = "WASMSERVE_LIMIT_MAX_REQUESTS",
        help_heading = "Processes"
    )]
    pub limit_max_requests: Option<String>,

    /// Add up to this many requests, at random, to each worker's limit
    #[arg(
        long,
        default_value = "0",
        value_name = "COUNT",
        env = "WASMSERVE_LIMIT_MAX_REQUESTS_JITTER",
        help_heading = "Processes"
    )]
    pub limit_max_requests_jitter: String,

    /// Replace a worker whose resident memory exceeds this
    #[arg(
        long,
        value_name = "SIZE",
        env = "WASMSERVE_MAX_WORKER_RSS",
        help_heading = "Processes"
    )]
    pub max_worker_rss: Option<String>,

    /// Replace a worker that has served this long
    #[arg(
        long,
        value_name = "DURATION",
        env = "WASMSERVE_MAX_WORKER_LIFETIME",
        help_heading = "Processes"
    )]
    pub max_worker_lifetime: Option<String>,

    /// End when nobody has been connected for this long; under socket activation the next connection starts it again
    #[arg(
        long,
        value_name = "DURATION",
        env = "WASMSERVE_EXIT_IDLE",
        help_heading = "Processes"
    )]
    pub exit_idle: Option<String>,

    #[command(flatten)]
    pub sandbox: Sandbox,

    #[command(flatten)]
    pub admin: Admin,

    /// Requests that one worker answers at a time; each has an instance
    #[arg(
        long,
        default_value = "1000",
        value_name = "COUNT",
        env = "WASMSERVE_LIMIT_CONCURRENCY",
        help_heading = "Requests"
    )]
    pub limit_concurrency: String,

    /// Requests that may wait for their turn in one worker; more are answered 503
    #[arg(
        long,
        default_value = "1000",
        value_name = "COUNT",
        env = "WASMSERVE_LIMIT_QUEUE",
        help_heading = "Requests"
    )]
    pub limit_queue: String,

    /// Time a request may wait for its turn; then it is answered 503
    #[arg(
        long,
        default_value = "5s",
        value_name = "DURATION",
        env = "WASMSERVE_TIMEOUT_QUEUE",
        help_heading = "Requests"
    )]
    pub timeout_queue: String,

    /// Time the guest may take until it gives the head of its response; then 504
    #[arg(
        long,
        default_value = "30s",
        value_name = "DURATION",
        env = "WASMSERVE_TIMEOUT_REQUEST",
        help_heading = "Requests"
    )]
    pub timeout_request: String,

    /// Time a response body may pause; then the connection is reset
    #[arg(
        long,
        default_value = "60s",
        value_name = "DURATION",
        env = "WASMSERVE_TIMEOUT_IDLE_BODY",
        help_heading = "Requests"
    )]
    pub timeout_idle_body: String,

    /// Compress responses (br, zstd or gzip) for clients that accept it
    #[arg(long, env = "WASMSERVE_COMPRESS", help_heading = "Requests")]
    pub compress: bool,

    /// Leave responses uncompressed that are known to be shorter than this
    #[arg(
        long,
        default_value = "1KiB",
        value_name = "SIZE",
        env = "WASMSERVE_COMPRESS_MIN_SIZE",
        help_heading = "Requests"
    )]
    pub compress_min_size: String,

    /// Serve the files of a directory below a path, without asking the guest
    #[arg(
        long = "static",
        value_name = "URLPATH=DIR",
        env = "WASMSERVE_STATIC",
        help_heading = "Requests"
    )]
    pub files: Vec<String>,

    #[command(flatten)]
    pub clients: Clients,

    #[command(flatten)]
    pub tls: Tls,

    /// Memory of one instance: its linear memories, its tables, and what the host holds for it
    #[arg(
        long,
        default_value = "512MiB",
        value_name = "SIZE",
        env = "WASMSERVE_MAX_MEMORY",
        help_heading = "Guest"
    )]
    pub max_memory: String,

    /// Memory of one worker's instances together, or `auto`: its share of 80 % of all; more waits, then 503
    #[arg(
        long,
        default_value = "auto",
        value_name = "SIZE",
        env = "WASMSERVE_MAX_WORKER_MEMORY",
        help_heading = "Guest"
    )]
    pub max_worker_memory: String,

    /// Processor time that the guest may burn for one request; then 504
    #[arg(
        long,
        default_value = "30s",
        value_name = "DURATION",
        env = "WASMSERVE_LIMIT_CPU",
        help_heading = "Guest"
    )]
    pub limit_cpu: String,

    /// Requests that one instance answers; 1 gives each request a fresh one
    #[arg(
        long,
        default_value = "1",
        value_name = "COUNT",
        env = "WASMSERVE_REUSE",
        help_heading = "Guest"
    )]
    pub reuse: String,

    /// Time an instance may wait for a further request
    #[arg(
        long,
        default_value = "10s",
        value_name = "DURATION",
        env = "WASMSERVE_REUSE_IDLE",
        help_heading = "Guest"
    )]
    pub reuse_idle: String,

    /// Requests that one instance answers at a time, with --reuse; components of WASI 0.3 only
    #[arg(
        long,
        default_value = "1",
        value_name = "COUNT",
        env = "WASMSERVE_REUSE_CONCURRENCY",
        help_heading = "Guest"
    )]
    pub reuse_concurrency: String,

    #[command(flatten)]
    pub front: Front,

    #[command(flatten)]
    pub capabilities: Capabilities,

    #[command(flatten)]
    pub outbound: Outbound,

    #[command(flatten)]
    pub code: Code,

    /// critical, error, warning, info, debug or trace
    #[arg(
        long,
        default_value = "info",
        value_name = "LEVEL",
        env = "WASMSERVE_LOG_LEVEL",
        help_heading = "Log"
    )]
    pub log_level: String,

    /// text, or json: one object a line
    #[arg(
        long,
        default_value = "text",
        value_name = "FORMAT",
        env = "WASMSERVE_LOG_FORMAT",
        help_heading = "Log"
    )]
    pub log_format: String,

    /// Colour the log [default: on a terminal]
    #[arg(
        long,
        env = "WASMSERVE_USE_COLORS",
        overrides_with = "no_use_colors",
        help_heading = "Log"
    )]
    pub use_colors: bool,

    /// Do not colour the log
    #[arg(long, env = "WASMSERVE_NO_USE_COLORS", help_heading = "Log")]
    pub no_use_colors: bool,

    /// Do not log each request
    #[arg(long, env = "WASMSERVE_NO_ACCESS_LOG", help_heading = "Log")]
    pub no_access_log: bool,
}
