//! These options say where to listen.

use clap::Args;
use std::path::PathBuf;

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Addresses")]
pub struct Addresses {
    /// Bind to this address, or to every address of this name [default: 127.0.0.1]
    #[arg(long, env = "WASMSERVE_HOST")]
    pub host: Option<String>,

    /// Bind to this port; 0 picks a free one [default: $PORT or 8000]
    #[arg(long, env = "WASMSERVE_PORT")]
    pub port: Option<String>,

    /// Listen on a Unix socket at this path
    #[arg(long, value_name = "PATH", env = "WASMSERVE_UDS")]
    pub uds: Option<PathBuf>,

    /// Who may connect to Unix sockets, as chmod has it
    #[arg(
        long,
        default_value = "666",
        value_name = "OCTAL",
        env = "WASMSERVE_UDS_PERMISSIONS"
    )]
    pub uds_permissions: String,

    /// Listen on this file descriptor, which the parent process has opened
    #[arg(long, value_name = "NUMBER", env = "WASMSERVE_FD")]
    pub fd: Option<String>,

    /// Listen here too: HOST:PORT, [IPV6]:PORT, unix:PATH or fd://NUMBER; `http://HOST:PORT` and
    /// `https://HOST:PORT` say which of both is spoken there, as `unix+https:PATH` does. Several are
    /// given one by one, or with commas between them
    #[arg(
        long,
        value_name = "ADDRESS",
        value_delimiter = ',',
        env = "WASMSERVE_BIND"
    )]
    pub bind: Vec<String>,

    /// Listen at HOST:PORT too, and redirect every request there to https
    #[arg(long, value_name = "ADDRESS", env = "WASMSERVE_REDIRECT_HTTP")]
    pub redirect_http: Option<String>,

    /// Trusted proxies (--forwarded-allow-ips) begin each connection with a PROXY protocol header that
    /// says whose it is
    #[arg(
        long,
        env = "WASMSERVE_PROXY_PROTOCOL",
        help_heading = "Proxies and headers"
    )]
    pub proxy_protocol: bool,

    /// Connections that may wait to be accepted
    #[arg(
        long,
        default_value = "2048",
        value_name = "COUNT",
        env = "WASMSERVE_BACKLOG"
    )]
    pub backlog: String,
}
