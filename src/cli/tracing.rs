//! These options are about traces.

use clap::Args;

#[derive(Clone, Debug, Args)]
pub struct Tracing {
    /// Continue the client's trace, or begin one (W3C Trace Context), for the guest, its requests and the log
    #[arg(long, env = "WASMSERVE_TRACE_CONTEXT", help_heading = "Traces")]
    pub trace_context: bool,

    /// Send the spans of requests to this collector (OTLP over HTTP), such as http://localhost:4318
    /// [default: $OTEL_EXPORTER_OTLP_ENDPOINT]
    #[arg(
        long,
        value_name = "URL",
        env = "WASMSERVE_OTLP_ENDPOINT",
        help_heading = "Traces"
    )]
    pub otlp_endpoint: Option<String>,
}
