//! These options say what clients may do, and how they are spoken to.

use clap::Args;

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Clients")]
pub struct Clients {
    /// HTTP versions that are spoken: auto, 1 or 2
    #[arg(
        long,
        default_value = "auto",
        value_name = "VERSION",
        env = "WASMSERVE_HTTP"
    )]
    pub http: String,

    /// Time a connection may stay open between two requests
    #[arg(
        long,
        default_value = "75s",
        value_name = "DURATION",
        env = "WASMSERVE_TIMEOUT_KEEP_ALIVE"
    )]
    pub timeout_keep_alive: String,

    /// Time a client may take to send the head of a request; then 408
    #[arg(
        long,
        default_value = "30s",
        value_name = "DURATION",
        env = "WASMSERVE_TIMEOUT_HEADER"
    )]
    pub timeout_header: String,

    /// Time a client may take to accept some of what is written to it
    #[arg(
        long,
        default_value = "60s",
        value_name = "DURATION",
        env = "WASMSERVE_TIMEOUT_WRITE"
    )]
    pub timeout_write: String,

    /// Bytes per second that a client must send of a request's body, or take of its answer, while it is waited for; 0
    /// does without
    #[arg(
        long,
        default_value = "240",
        value_name = "SIZE",
        env = "WASMSERVE_MIN_RATE"
    )]
    pub min_rate: String,

    /// Size of a request's head; a larger one is answered 431, or 414
    #[arg(
        long,
        default_value = "64KiB",
        value_name = "SIZE",
        env = "WASMSERVE_LIMIT_HEAD"
    )]
    pub limit_head: String,

    /// Header fields of a request; more are answered 431
    #[arg(
        long,
        default_value = "100",
        value_name = "COUNT",
        env = "WASMSERVE_LIMIT_HEADERS"
    )]
    pub limit_headers: String,

    /// Size of a request's body; a larger one is answered 413
    #[arg(
        long,
        default_value = "1GiB",
        value_name = "SIZE",
        env = "WASMSERVE_LIMIT_BODY"
    )]
    pub limit_body: String,

    /// Connections that one worker holds; for a further one, that which has been idle for longest is closed, or the new one waits in the backlog
    #[arg(
        long,
        default_value = "10000",
        value_name = "COUNT",
        env = "WASMSERVE_LIMIT_CONNECTIONS"
    )]
    pub limit_connections: String,

    /// Requests of one HTTP/2 connection that are answered at a time
    #[arg(
        long,
        default_value = "100",
        value_name = "COUNT",
        env = "WASMSERVE_LIMIT_STREAMS"
    )]
    pub limit_streams: String,
}
