//! These options are about requests and their answers.

use clap::Args;

/// `Requests` says how requests are queued, timed and answered.
#[derive(Clone, Debug, Args)]
pub struct Requests {
    /// Requests that one worker answers at a time; each has an instance
    #[arg(
        long,
        default_value = "1000",
        value_name = "COUNT",
        env = "WASMSERVE_LIMIT_CONCURRENCY",
        help_heading = "Requests"
    )]
    pub limit_concurrency: String,

    /// Requests that may wait for their turn in one worker; more are answered 503
    #[arg(
        long,
        default_value = "1000",
        value_name = "COUNT",
        env = "WASMSERVE_LIMIT_QUEUE",
        help_heading = "Requests"
    )]
    pub limit_queue: String,

    /// Time a request may wait for its turn; then it is answered 503
    #[arg(
        long,
        default_value = "5s",
        value_name = "DURATION",
        env = "WASMSERVE_TIMEOUT_QUEUE",
        help_heading = "Requests"
    )]
    pub timeout_queue: String,

    /// Time the guest may take until it gives the head of its response; then 504
    #[arg(
        long,
        default_value = "30s",
        value_name = "DURATION",
        env = "WASMSERVE_TIMEOUT_REQUEST",
        help_heading = "Requests"
    )]
    pub timeout_request: String,

    /// Time a response body may pause; then the connection is reset
    #[arg(
        long,
        default_value = "60s",
        value_name = "DURATION",
        env = "WASMSERVE_TIMEOUT_IDLE_BODY",
        help_heading = "Requests"
    )]
    pub timeout_idle_body: String,

    /// Compress responses (br, zstd or gzip) for clients that accept it
    #[arg(long, env = "WASMSERVE_COMPRESS", help_heading = "Requests")]
    pub compress: bool,

    /// Leave responses uncompressed that are known to be shorter than this
    #[arg(
        long,
        default_value = "1KiB",
        value_name = "SIZE",
        env = "WASMSERVE_COMPRESS_MIN_SIZE",
        help_heading = "Requests"
    )]
    pub compress_min_size: String,

    /// Serve the files of a directory below a path, without asking the guest
    #[arg(
        long = "static",
        value_name = "URLPATH=DIR",
        env = "WASMSERVE_STATIC",
        help_heading = "Requests"
    )]
    pub files: Vec<String>,
}
