//! These options are about the processes: how many there are, and when they are replaced.

use clap::Args;
use std::path::PathBuf;

/// `Processes` says how many workers there are, and when they start, stop and are replaced.
#[derive(Clone, Debug, Args)]
pub struct Processes {
    /// Worker processes, or `auto`: one for each processor this process may use; or `2..8`: as many as the load takes
    /// [default: $WEB_CONCURRENCY or 1]
    #[arg(short, long, env = "WASMSERVE_WORKERS", help_heading = "Processes")]
    pub workers: Option<String>,

    /// With `--workers 2..8`, how long workers must have had little to do until there is one fewer
    #[arg(
        long,
        default_value = "60s",
        value_name = "DURATION",
        env = "WASMSERVE_SCALE_DOWN_AFTER",
        help_heading = "Processes"
    )]
    pub scale_down_after: String,

    /// Write the process's number to this file while it serves
    #[arg(
        long,
        visible_alias = "pidfile",
        value_name = "FILE",
        env = "WASMSERVE_PID",
        help_heading = "Processes"
    )]
    pub pid: Option<PathBuf>,

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

    /// Replace a worker that has given no sign of life for this long
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
}
