//! A `Sample` is what a server said about itself at one moment: as much of its status document as the live view shows.
//! What is missing is nought or empty, so that a server of another version can be watched.

use crate::log;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Sample {
    pub version: String,
    pub pid: i64,
    pub state: String,
    pub ready: bool,
    pub reasons: Vec<String>,
    pub started_at: f64,
    pub uptime_seconds: f64,
    pub cpu_seconds: f64,
    pub component: Option<Component>,
    pub workers_wanted: u64,
    pub workers: Vec<WorkerSample>,
    pub requests: Requests,
    pub reloads: Reloads,
    pub ended_workers: Vec<WorkerEnd>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Component {
    pub path: String,
    pub generation: u64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct WorkerSample {
    pub pid: i64,
    pub state: String,
    pub age_seconds: f64,
    pub connections: u64,
    pub in_flight: u64,
    pub requests: u64,
    pub failures: u64,
    pub busy: f64,
    pub memory_bytes: u64,
    pub answering: Option<Answering>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Answering {
    pub request: String,
    pub since_seconds: f64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Requests {
    pub total: u64,
    pub by_status: BTreeMap<String, u64>,
    pub in_flight: u64,
    pub queued: u64,
    pub refused: BTreeMap<String, u64>,
    pub guest_failures: BTreeMap<String, u64>,
    /// Number `n` counts those that took less than 2^n microseconds, and no less than half of that.
    pub duration_counts: Vec<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Reloads {
    pub last: Option<LastReload>,
    pub canary: Option<Canary>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Canary {
    pub generation: u64,
    pub state: String,
    pub elapsed_seconds: f64,
    pub time_seconds: f64,
    pub old: ComparedVersion,
    pub new: ComparedVersion,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ComparedVersion {
    pub requests: u64,
    pub failed: u64,
    pub p99_seconds: Option<f64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct LastReload {
    pub outcome: String,
    pub at: f64,
    pub reason: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct WorkerEnd {
    pub pid: i64,
    pub at: f64,
    pub reason: String,
    pub detail: String,
}

impl Sample {
    /// Returns when the server said this, in seconds since 1970 by its own clock.
    pub fn at(&self) -> f64 {
        self.started_at + self.uptime_seconds
    }

    /// Counts the requests that the guest failed.
    pub fn failures(&self) -> u64 {
        sum(self.requests.guest_failures.values().copied())
    }

    /// Responses with a status of 500 and above.
    pub fn server_errors(&self) -> u64 {
        let count = self.requests.by_status.get("5xx");
        count.copied().unwrap_or_default()
    }

    pub fn memory(&self) -> u64 {
        sum(self.workers.iter().map(|worker| worker.memory_bytes))
    }
}

/// Workers may write any number.
fn sum(numbers: impl Iterator<Item = u64>) -> u64 {
    numbers.fold(0, u64::saturating_add)
}

/// Makes text from outside plain: one line, without a way to talk to the terminal.
pub fn plain(text: &str) -> String {
    log::escape(text).to_string().replace('\t', " ")
}
