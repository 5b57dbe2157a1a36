//! These options are about what stands between the client and the guest: proxies, and the fields that are added to
//! heads.

use clap::Args;

#[derive(Clone, Debug, Args)]
pub struct Headers {
    /// Believe what trusted proxies say of client, scheme and host (X-Forwarded-*, Forwarded,
    /// X-Request-Id) [default]
    #[arg(
        long,
        env = "WASMSERVE_PROXY_HEADERS",
        overrides_with = "no_proxy_headers",
        help_heading = "Proxies and headers"
    )]
    pub proxy_headers: bool,

    /// Believe nobody: the client is whoever connects
    #[arg(
        long,
        env = "WASMSERVE_NO_PROXY_HEADERS",
        overrides_with = "proxy_headers",
        help_heading = "Proxies and headers"
    )]
    pub no_proxy_headers: bool,

    /// Proxies to believe: addresses, networks, `unix` for Unix sockets, `*` for everybody
    /// [default: $FORWARDED_ALLOW_IPS or 127.0.0.1]
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        env = "WASMSERVE_FORWARDED_ALLOW_IPS",
        help_heading = "Proxies and headers"
    )]
    pub forwarded_allow_ips: Option<Vec<String>>,

    /// The path under which a proxy has mounted the application; guests see paths without it
    #[arg(
        long,
        default_value = "",
        value_name = "PATH",
        env = "WASMSERVE_ROOT_PATH",
        help_heading = "Proxies and headers"
    )]
    pub root_path: String,

    /// Add a header to every response
    #[arg(
        long,
        value_name = "NAME:VALUE",
        env = "WASMSERVE_HEADER",
        help_heading = "Proxies and headers"
    )]
    pub header: Vec<String>,

    /// Set a header of every request that the guest sees
    #[arg(
        long,
        value_name = "NAME:VALUE",
        env = "WASMSERVE_REQUEST_HEADER",
        help_heading = "Proxies and headers"
    )]
    pub request_header: Vec<String>,

    /// Tell the guest the address of its client in this header
    #[arg(
        long,
        value_name = "NAME",
        env = "WASMSERVE_CLIENT_HEADER",
        help_heading = "Proxies and headers"
    )]
    pub client_header: Option<String>,

    /// Give each request an identifier, in X-Request-Id and in the log [default]
    #[arg(
        long,
        env = "WASMSERVE_REQUEST_ID",
        overrides_with = "no_request_id",
        help_heading = "Proxies and headers"
    )]
    pub request_id: bool,

    /// Give requests no identifier
    #[arg(
        long,
        env = "WASMSERVE_NO_REQUEST_ID",
        overrides_with = "request_id",
        help_heading = "Proxies and headers"
    )]
    pub no_request_id: bool,

    /// Add `server: wasmserve` to responses without a Server header [default]
    #[arg(
        long,
        env = "WASMSERVE_SERVER_HEADER",
        overrides_with = "no_server_header",
        help_heading = "Proxies and headers"
    )]
    pub server_header: bool,

    /// Add no Server header
    #[arg(
        long,
        env = "WASMSERVE_NO_SERVER_HEADER",
        overrides_with = "server_header",
        help_heading = "Proxies and headers"
    )]
    pub no_server_header: bool,

    /// Add a Date header to responses without one [default]
    #[arg(
        long,
        env = "WASMSERVE_DATE_HEADER",
        overrides_with = "no_date_header",
        help_heading = "Proxies and headers"
    )]
    pub date_header: bool,

    /// Add no Date header
    #[arg(
        long,
        env = "WASMSERVE_NO_DATE_HEADER",
        overrides_with = "date_header",
        help_heading = "Proxies and headers"
    )]
    pub no_date_header: bool,
}

impl Headers {
    /// Says whether proxies are believed.
    pub fn believes_proxies(&self) -> bool {
        self.proxy_headers || !self.no_proxy_headers
    }

    /// Says whether each request gets an identifier.
    pub fn gives_ids(&self) -> bool {
        self.request_id || !self.no_request_id
    }

    /// Says whether responses name the server.
    pub fn adds_server(&self) -> bool {
        self.server_header || !self.no_server_header
    }

    /// Says whether responses tell when they were made.
    pub fn adds_date(&self) -> bool {
        self.date_header || !self.no_date_header
    }
}
