//! These options are about the log.

use clap::Args;

/// `Logging` says what is logged, and how.
#[derive(Clone, Debug, Args)]
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

    /// Log each request [default]
    #[arg(
        long,
        env = "WASMSERVE_ACCESS_LOG",
        overrides_with = "no_access_log",
        help_heading = "Log"
    )]
    pub access_log: bool,

    /// Do not log each request
    #[arg(
        long,
        env = "WASMSERVE_NO_ACCESS_LOG",
        overrides_with = "access_log",
        help_heading = "Log"
    )]
    pub no_access_log: bool,

    /// Write the log to this file, to `-` (standard error), to `syslog` or to `journald`
    #[arg(
        long,
        visible_alias = "error-logfile",
        value_name = "WHERE",
        env = "WASMSERVE_LOG_FILE",
        help_heading = "Log"
    )]
    pub log_file: Option<String>,

    /// Log requests to this file, to `-` (standard output), to `syslog` or to `journald`
    #[arg(
        long,
        value_name = "WHERE",
        env = "WASMSERVE_ACCESS_LOGFILE",
        help_heading = "Log"
    )]
    pub access_logfile: Option<String>,

    /// Log requests in this format, in gunicorn's notation (%(h)s) or nginx's ($status); `combined` is one
    #[arg(
        long,
        value_name = "FORMAT",
        env = "WASMSERVE_ACCESS_LOGFORMAT",
        help_heading = "Log"
    )]
    pub access_logformat: Option<String>,

    /// Begin each line of a text log with the time
    #[arg(long, env = "WASMSERVE_LOG_TIME", help_heading = "Log")]
    pub log_time: bool,
}

impl Logging {
    /// Says whether each request is logged.
    pub fn logs_requests(&self) -> bool {
        self.access_log || !self.no_access_log
    }
}
