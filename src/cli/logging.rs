//! The options about the log.

use clap::Args;

/// What is logged, and how.
#[derive(Debug, Args)]
pub struct Logging {
    /// critical, error, warning, info, debug or trace
    #[arg(
        long,
        default_value = "info",
        value_name = "LEVEL",
        env = "WASMSERVE_LOG_LEVEL",
        help_heading = "Log"
    )]
    pub log_level: String,

    /// text, or json: one object a line
    #[arg(
        long,
        default_value = "text",
        value_name = "FORMAT",
        env = "WASMSERVE_LOG_FORMAT",
        help_heading = "Log"
    )]
    pub log_format: String,

    /// Colour the log [default: on a terminal]
    #[arg(
        long,
        env = "WASMSERVE_USE_COLORS",
        overrides_with = "no_use_colors",
        help_heading = "Log"
    )]
    pub use_colors: bool,

    /// Do not colour the log
    #[arg(long, env = "WASMSERVE_NO_USE_COLORS", help_heading = "Log")]
    pub no_use_colors: bool,

    /// Do not log each request
    #[arg(long, env = "WASMSERVE_NO_ACCESS_LOG", help_heading = "Log")]
    pub no_access_log: bool,
}
