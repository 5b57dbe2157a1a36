//! `Settings` says what the operator decided about processes.

use crate::cache::Cache;
use crate::channel::WorkerRange;
use crate::sys::privileges;
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Settings {
    /// The number of workers follows the load between these bounds.
    pub workers: WorkerRange,
    /// A worker answers this many requests at a time.
    pub concurrency: usize,
    /// Workers must have had little to do for this long until there is one fewer.
    pub scale_down: Duration,
    /// Requests in flight may go on for this long before their worker is killed.
    pub graceful_shutdown: Duration,
    /// Everything goes on for this long after a stop was asked for.
    pub shutdown_delay: Duration,
    /// A worker may be silent for this long.
    pub healthcheck: Duration,
    /// A worker may take this long to get ready.
    pub startup: Duration,
    /// A worker is replaced after this many requests.
    pub limit_max_requests: Option<u64>,
    /// No more than this is added to that, at random.
    pub limit_max_requests_jitter: u64,
    /// A worker with more resident bytes is replaced.
    pub max_worker_rss: Option<u64>,
    /// A worker of this age is replaced.
    pub max_worker_lifetime: Option<Duration>,
    /// Changed files cause a reload.
    pub reload: bool,
    /// The server ends when nobody was connected for this long.
    pub exit_idle: Option<Duration>,
    pub compile: CompileLimits,
    /// A step before the start may take this long.
    pub step_time: Duration,
    pub canary: CanarySettings,
    /// These periodic jobs are run while the application is served.
    pub jobs: Vec<JobSettings>,
    /// Each run of a job may take this long.
    pub job_time: Duration,
    pub code: CodeSettings,
}

/// `CanarySettings` says how a new version is compared with the one that is served.
#[derive(Clone, Debug, PartialEq)]
pub struct CanarySettings {
    /// This share of all workers has the new version meanwhile. Where there is none, reloads have no canary unless that
    /// is asked for.
    pub share: Option<f64>,
    pub time: Duration,
    /// The new version may fail a share of its requests that is larger by this much.
    pub max_failures: f64,
    /// The slowest of 100 requests may take this many times as long.
    pub max_latency: f64,
    pub without_traffic: WithoutTraffic,
}

/// `WithoutTraffic` says what is done when the time is over and too few requests have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithoutTraffic {
    Wait,
    Promote,
    RollBack,
}

/// `JobSettings` says how often a component is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobSettings {
    pub path: PathBuf,
    pub period: Duration,
}

/// `CodeSettings` says what code is made of, and where it is kept.
#[derive(Clone, Debug, Default)]
pub struct CodeSettings {
    /// The code is made of the application's component, those of the steps before the start, and those of the periodic
    /// jobs.
    pub sources: Vec<PathBuf>,
    /// The cache is in this directory; none where no place for it is known.
    pub directory: Option<PathBuf>,
    /// All code may take this many bytes.
    pub most: u64,
    /// The compiler runs as this user, where that is another.
    pub owner: Option<u32>,
}

impl CodeSettings {
    /// Opens the cache, which is made where it is missing.
    pub fn open_cache(&self) -> Result<Cache> {
        let directory = self.directory.as_deref();
        Cache::make(
            directory.context("no directory for it is known")?,
            self.owner.unwrap_or_else(privileges::own_user),
        )
    }
}

/// `CompileLimits` says what compiling a component may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompileLimits {
    pub time: Duration,
    /// The compiler may have this many resident bytes.
    pub memory: u64,
}
