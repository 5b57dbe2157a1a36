//! These options say what the guest may use: environment, directories, network, stores.

use clap::Args;
use std::path::PathBuf;

#[derive(Clone, Debug, Args)]
pub struct Capabilities {
    /// Set an environment variable for the guest, or pass ours on
    #[arg(
        long,
        value_name = "NAME[=VALUE]",
        env = "WASMSERVE_ENV",
        value_delimiter = None,
        help_heading = "Guest"
    )]
    pub env: Vec<String>,

    /// Set the environment variables for the guest that this file lists, in dotenv syntax
    #[arg(
        long,
        value_name = "FILE",
        env = "WASMSERVE_ENV_FILE",
        help_heading = "Guest"
    )]
    pub env_file: Vec<PathBuf>,

    /// Give the guest a command line argument
    #[arg(
        long,
        value_name = "ARGUMENT",
        env = "WASMSERVE_ARG",
        allow_hyphen_values = true,
        help_heading = "Guest"
    )]
    pub arg: Vec<String>,

    /// Let the guest read a directory, under the same path or another
    #[arg(
        long,
        value_name = "HOST[::GUEST]",
        env = "WASMSERVE_DIR",
        help_heading = "Guest"
    )]
    pub dir: Vec<String>,

    /// Let the guest read and write a directory
    #[arg(
        long,
        value_name = "HOST[::GUEST]",
        env = "WASMSERVE_DIR_RW",
        help_heading = "Guest"
    )]
    pub dir_rw: Vec<String>,

    /// Tell the guest a value of its configuration (wasi:config)
    #[arg(
        long,
        value_name = "NAME=VALUE",
        env = "WASMSERVE_CONFIG",
        help_heading = "Guest"
    )]
    pub config: Vec<String>,

    /// Keep what the guest stores (wasi:keyvalue) in sqlite:PATH or redis://HOST:PORT
    #[arg(
        long,
        value_name = "STORE",
        env = "WASMSERVE_KEYVALUE",
        help_heading = "Guest"
    )]
    pub keyvalue: Option<String>,

    /// Put this component in front of the application: it imports and exports the handler of requests; can be
    /// repeated, the outermost first
    #[arg(
        long,
        value_name = "COMPONENT",
        env = "WASMSERVE_MIDDLEWARE",
        help_heading = "Guest"
    )]
    pub middleware: Vec<PathBuf>,

    /// Run this component of the command world, with what the guest may use, before the first worker starts and
    /// before a reload's new version
    #[arg(
        long,
        value_name = "COMPONENT",
        env = "WASMSERVE_BEFORE_START",
        help_heading = "Guest"
    )]
    pub before_start: Vec<PathBuf>,

    /// Time that each of these components may take
    #[arg(
        long,
        default_value = "1h",
        value_name = "DURATION",
        env = "WASMSERVE_TIMEOUT_BEFORE_START",
        help_heading = "Guest"
    )]
    pub timeout_before_start: String,

    /// Run this component of the command world at this interval, like 5m=job.wasm, with what the guest may use, in a
    /// process of its own
    #[arg(
        long,
        value_name = "PERIOD=COMPONENT",
        env = "WASMSERVE_EVERY",
        help_heading = "Guest"
    )]
    pub every: Vec<String>,

    /// Time that each run of these components may take
    #[arg(
        long,
        default_value = "1h",
        value_name = "DURATION",
        env = "WASMSERVE_TIMEOUT_EVERY",
        help_heading = "Guest"
    )]
    pub timeout_every: String,
}
