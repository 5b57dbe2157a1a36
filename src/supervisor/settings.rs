//! What the operator decided about processes.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Settings {
    pub workers: NonZeroUsize,
    /// How long requests in flight may go on before their worker is killed.
    pub graceful_shutdown: Duration,
    /// How long everything goes on after a stop was asked for.
    pub shutdown_delay: Duration,
    /// How long a worker may be silent.
    pub healthcheck: Duration,
    /// How long a worker may take to get ready.
    pub startup: Duration,
    /// Requests after which a worker is replaced.
    pub limit_max_requests: Option<u64>,
    /// What is added to that, at most, at random.
    pub limit_max_requests_jitter: u64,
    /// Resident bytes beyond which a worker is replaced.
    pub max_worker_rss: Option<u64>,
    /// Age at which a worker is replaced.
    pub max_worker_lifetime: Option<Duration>,
    /// Whether changed files cause a reload.
    pub reload: bool,
    /// How long nobody may be connected until the server ends.
    pub exit_idle: Option<Duration>,
    pub compile: CompileLimits,
    /// Where compiled code is kept; none where no place for it is known.
    pub cache: Option<PathBuf>,
}

/// What compiling a component may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompileLimits {
    pub time: Duration,
    /// Resident bytes of the compiler.
    pub memory: u64,
}
