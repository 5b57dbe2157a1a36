//! These options say whom the guest may talk to.

use clap::Args;
use std::path::PathBuf;

#[derive(Clone, Debug, Args)]
pub struct Outbound {
    /// Let the guest send requests: https://api.example.com, *.example.com:443, 10.0.0.0/8, * (and no
    /// address of private networks by a wildcard)
    #[arg(
        long,
        value_name = "RULE",
        env = "WASMSERVE_ALLOW_HTTP",
        value_delimiter = ',',
        help_heading = "Outbound"
    )]
    pub allow_http: Vec<String>,

    /// Let the guest connect sockets, TCP and UDP: db.example.com:5432, 10.0.0.0/8:53
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "WASMSERVE_ALLOW_NET",
        value_delimiter = ',',
        help_heading = "Outbound"
    )]
    pub allow_net: Vec<String>,

    /// Trust these certificate authorities (PEM) where guests connect to servers, instead of the system's
    #[arg(
        long,
        value_name = "FILE",
        env = "WASMSERVE_OUTBOUND_CA",
        help_heading = "Outbound"
    )]
    pub outbound_ca: Option<PathBuf>,

    /// Requests that the guest may have under way for one request of a client
    #[arg(
        long,
        default_value = "32",
        value_name = "COUNT",
        env = "WASMSERVE_LIMIT_OUTBOUND_PER_REQUEST",
        help_heading = "Outbound"
    )]
    pub limit_outbound_per_request: String,

    /// Requests of guests that one worker has under way
    #[arg(
        long,
        default_value = "1000",
        value_name = "COUNT",
        env = "WASMSERVE_LIMIT_OUTBOUND",
        help_heading = "Outbound"
    )]
    pub limit_outbound: String,

    /// Time until a request of the guest has its connection
    #[arg(
        long,
        default_value = "10s",
        value_name = "DURATION",
        env = "WASMSERVE_TIMEOUT_OUTBOUND_CONNECT",
        help_heading = "Outbound"
    )]
    pub timeout_outbound_connect: String,

    /// Time until the answer to a request of the guest begins
    #[arg(
        long,
        default_value = "60s",
        value_name = "DURATION",
        env = "WASMSERVE_TIMEOUT_OUTBOUND_FIRST_BYTE",
        help_heading = "Outbound"
    )]
    pub timeout_outbound_first_byte: String,

    /// Time that the answer to a request of the guest may pause
    #[arg(
        long,
        default_value = "60s",
        value_name = "DURATION",
        env = "WASMSERVE_TIMEOUT_OUTBOUND_BETWEEN_BYTES",
        help_heading = "Outbound"
    )]
    pub timeout_outbound_between_bytes: String,
}
