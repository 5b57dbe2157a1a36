//! These options say where compiled code is kept, and what making it may take.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Guest")]
pub struct CompileOptions {
    /// Keep compiled code in this directory [default: $XDG_CACHE_HOME/wasmserve]
    #[arg(
        long,
        value_name = "DIR",
        env = "WASMSERVE_CACHE_DIR",
        help_heading = "Guest"
    )]
    pub cache_dir: Option<PathBuf>,

    /// Keep at most this much compiled code; what was not used for the longest time goes first
    #[arg(
        long,
        default_value = "2GiB",
        value_name = "SIZE",
        env = "WASMSERVE_CACHE_SIZE",
        help_heading = "Guest"
    )]
    pub cache_size: String,

    /// Serve native code made by `wasmserve compile`, which is not checked again
    #[arg(long, env = "WASMSERVE_ALLOW_PRECOMPILED", help_heading = "Guest")]
    pub allow_precompiled: bool,

    /// Have the application's code be fast (2), or be there in half the time (0)
    #[arg(
        long,
        default_value = "2",
        value_name = "LEVEL",
        env = "WASMSERVE_OPT_LEVEL",
        help_heading = "Guest"
    )]
    pub opt_level: OptLevel,

    /// Time that compiling a component may take
    #[arg(
        long,
        default_value = "10m",
        value_name = "DURATION",
        env = "WASMSERVE_LIMIT_COMPILE_TIME"
    )]
    pub limit_compile_time: String,

    /// Resident memory that compiling a component may take
    #[arg(
        long,
        default_value = "4GiB",
        value_name = "SIZE",
        env = "WASMSERVE_LIMIT_COMPILE_MEMORY"
    )]
    pub limit_compile_memory: String,
}

/// The levels have the names that compilers give them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OptLevel {
    #[value(name = "0")]
    None,
    #[value(name = "2")]
    Speed,
}
