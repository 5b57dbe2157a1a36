//! These options are about WebSockets.

use clap::Args;

/// A worker holds this many where nothing else is said.
pub const MOST: &str = "1000";

/// `WebSockets` says what they may cost, and how they are kept alive.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "WebSockets")]
pub struct WebSockets {
    /// WebSockets that one worker holds; each has an instance. A further one is answered 503
    #[arg(
        long,
        default_value = MOST,
        value_name = "COUNT",
        env = "WASMSERVE_LIMIT_WEBSOCKETS"
    )]
    pub limit_websockets: String,

    /// Size of a message that a client sends; for a larger one the WebSocket is closed with 1009
    #[arg(
        long,
        default_value = "16MiB",
        value_name = "SIZE",
        env = "WASMSERVE_WS_MAX_SIZE"
    )]
    pub ws_max_size: String,

    /// Messages that may wait, in each direction, before their sender has to
    #[arg(
        long,
        default_value = "32",
        value_name = "COUNT",
        env = "WASMSERVE_WS_MAX_QUEUE"
    )]
    pub ws_max_queue: String,

    /// Time without anything from a client until it is sent a ping; 0 sends none
    #[arg(
        long,
        default_value = "20s",
        value_name = "DURATION",
        env = "WASMSERVE_WS_PING_INTERVAL"
    )]
    pub ws_ping_interval: String,

    /// Time a client may take to answer a ping; then its WebSocket is closed. 0 waits for ever
    #[arg(
        long,
        default_value = "20s",
        value_name = "DURATION",
        env = "WASMSERVE_WS_PING_TIMEOUT"
    )]
    pub ws_ping_timeout: String,
}
