//! The options about traces.

use clap::Args;

#[derive(Debug, Args)]
pub struct Tracing {
    /// Continue the client's trace, or begin one (W3C Trace Context), for the guest, its requests and the log
    #[arg(long, env = "WASMSERVE_TRACE_CONTEXT", help_heading = "Traces")]
    pub trace_context: bool,
}
