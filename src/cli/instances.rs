//! These options are about instances of the component.

use clap::Args;
use std::path::PathBuf;

/// `Instances` says how many there are, what each may take, and how long it lives.
#[derive(Clone, Debug, Args)]
pub struct Instances {
    /// Memory of one instance: its linear memories, its tables, and what the host holds for it
    #[arg(
        long,
        default_value = "512MiB",
        value_name = "SIZE",
        env = "WASMSERVE_MAX_MEMORY",
        help_heading = "Guest"
    )]
    pub max_memory: String,

    /// Memory of one worker's instances together, or `auto`: an equal share of 80 % of all that there is; a request that needs more waits, and is then answered 503
    #[arg(
        long,
        default_value = "auto",
        value_name = "SIZE",
        env = "WASMSERVE_MAX_WORKER_MEMORY",
        help_heading = "Guest"
    )]
    pub max_worker_memory: String,

    /// Processor time that the guest may use for one request; then 504
    #[arg(
        long,
        default_value = "30s",
        value_name = "DURATION",
        env = "WASMSERVE_LIMIT_CPU",
        help_heading = "Guest"
    )]
    pub limit_cpu: String,

    /// Keep a core dump of each distinct failure of the guest in this directory; it holds the instance's memory
    #[arg(
        long,
        value_name = "DIR",
        env = "WASMSERVE_COREDUMP_DIR",
        help_heading = "Guest"
    )]
    pub coredump_dir: Option<PathBuf>,

    /// Keep no more core dumps than this
    #[arg(
        long,
        default_value = "10",
        value_name = "COUNT",
        env = "WASMSERVE_COREDUMP_COUNT",
        help_heading = "Guest"
    )]
    pub coredump_count: String,

    /// Record what each distinct failing request was given in this directory, to be replayed by `wasmserve replay`; bodies are kept as they are
    #[arg(
        long,
        value_name = "DIR",
        env = "WASMSERVE_RECORD_FAILURES",
        help_heading = "Guest"
    )]
    pub record_failures: Option<PathBuf>,

    /// Keep no more recordings than this, of a few megabytes each at most
    #[arg(
        long,
        default_value = "20",
        value_name = "COUNT",
        env = "WASMSERVE_RECORD_COUNT",
        help_heading = "Guest"
    )]
    pub record_count: String,

    /// Keep credentials and cookies in recordings too, instead of asterisks
    #[arg(long, env = "WASMSERVE_RECORD_SECRETS", help_heading = "Guest")]
    pub record_secrets: bool,

    /// Record for this long where guests spend their time, and write a profile for the Firefox Profiler, one for each worker
    #[arg(
        long,
        value_name = "DURATION",
        env = "WASMSERVE_PROFILE_GUEST",
        help_heading = "Guest"
    )]
    pub profile_guest: Option<String>,

    /// Write profiles into this directory [default: the working directory]; with it `wasmserve profile` makes them, too
    #[arg(
        long,
        value_name = "DIR",
        env = "WASMSERVE_PROFILE_DIR",
        help_heading = "Guest"
    )]
    pub profile_dir: Option<PathBuf>,

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

    /// Request answered before anybody is served, `[METHOD ]PATH`: instances begin as it leaves them; repeatable
    #[arg(
        long,
        value_name = "REQUEST",
        env = "WASMSERVE_PRIME",
        help_heading = "Guest"
    )]
    pub prime: Vec<String>,

    /// Field of these requests, `NAME:VALUE`; repeatable
    #[arg(
        long,
        value_name = "FIELD",
        env = "WASMSERVE_PRIME_HEADER",
        help_heading = "Guest"
    )]
    pub prime_header: Vec<String>,

    /// Refuse to start where the application cannot be primed, instead of only warning of it
    #[arg(long, env = "WASMSERVE_PRIME_STRICT", help_heading = "Guest")]
    pub prime_strict: bool,

    /// Do not prime: the application starts anew in each instance
    #[arg(long, env = "WASMSERVE_NO_PRIME", help_heading = "Guest")]
    pub no_prime: bool,

    /// Requests that one instance answers at a time, with --reuse; components of WASI 0.3 only
    #[arg(
        long,
        default_value = "1",
        value_name = "COUNT",
        env = "WASMSERVE_REUSE_CONCURRENCY",
        help_heading = "Guest"
    )]
    pub reuse_concurrency: String,
}
