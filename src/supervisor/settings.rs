//! What the operator decided about processes.

use crate::cache::Cache;
use crate::channel::WorkerRange;
use crate::sys::privileges;
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Settings {
    /// How many workers there are: their number follows the load between these bounds.
    pub workers: WorkerRange,
    /// How long workers must have had little to do until there is one fewer.
    pub scale_down: Duration,
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
    /// How long a step before the start may take.
    pub step_time: Duration,
    pub code: CodeSettings,
}

/// What code is made of, and where it is kept.
#[derive(Clone, Debug, Default)]
pub struct CodeSettings {
    /// The application's component, and those of the steps before the start.
    pub sources: Vec<PathBuf>,
    /// The directory of the cache; none where no place for it is known.
    pub directory: Option<PathBuf>,
    /// Bytes that all of it may take.
    pub most: u64,
    /// The user that the compiler runs as, where that is another.
    pub owner: Option<u32>,
}

impl CodeSettings {
    /// The cache, which is made where it is missing.
    pub fn open_cache(&self) -> Result<Cache> {
        let directory = self.directory.as_deref();
        Cache::make(
            directory.context("no directory for it is known")?,
            self.owner.unwrap_or_else(privileges::own_user),
        )
    }
}

/// What compiling a component may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompileLimits {
    pub time: Duration,
    /// Resident bytes of the compiler.
    pub memory: u64,
}
