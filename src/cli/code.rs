//! These options say where compiled code is kept, and what making it may take.

use clap::Args;
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
