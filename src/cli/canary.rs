//! These options are about canaries: reloads that judge the new version before all workers have it.

use clap::{Args, ValueEnum};

/// A new version is compared with the one that is served.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Canary")]
pub struct Canary {
    /// At a reload, first serve the new version by this share of the workers beside the old one, and compare the
    /// two: `10%`, and `50%` at most
    #[arg(long, value_name = "SHARE", env = "WASMSERVE_CANARY")]
    pub canary: Option<String>,

    /// How long the two versions are compared until the new one is given to all workers
    #[arg(
        long,
        default_value = "60s",
        value_name = "DURATION",
        env = "WASMSERVE_CANARY_TIME"
    )]
    pub canary_time: String,

    /// How much larger a share of its requests the new version may fail than the old one
    #[arg(
        long,
        default_value = "1%",
        value_name = "SHARE",
        env = "WASMSERVE_CANARY_MAX_FAILURES"
    )]
    pub canary_max_failures: String,

    /// How many times as long 99 of 100 answers of the new version may take as those of the old one
    #[arg(
        long,
        default_value = "1.5x",
        value_name = "TIMES",
        env = "WASMSERVE_CANARY_MAX_LATENCY"
    )]
    pub canary_max_latency: String,

    /// What is done when the time is over and too few requests have come to compare by: go on until enough have, promote
    /// the new version, or roll it back
    #[arg(
        long,
        value_enum,
        default_value_t = WithoutTraffic::Wait,
        value_name = "WHAT",
        env = "WASMSERVE_CANARY_WITHOUT_TRAFFIC"
    )]
    pub canary_without_traffic: WithoutTraffic,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WithoutTraffic {
    Wait,
    Promote,
    Rollback,
}
