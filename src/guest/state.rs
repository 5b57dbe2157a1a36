//! What belongs to one instance on the host's side: its WASI contexts, its resources, its limits.

use super::capabilities::Granted;
use super::engine::Limits;
use super::limits::MemoryLimit;
use crate::warning;
use wasmtime::ResourceLimiter;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};

/// The data of one store.
pub struct State {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    outbound: Outbound,
    table: ResourceTable,
    memory: MemoryLimit,
}

impl State {
    pub fn new(granted: &Granted, limits: Limits) -> State {
        State {
            wasi: granted.wasi(),
            http: WasiHttpCtx::new(),
            outbound: Outbound,
            table: ResourceTable::new(),
            memory: MemoryLimit::new(usize::try_from(limits.memory).unwrap_or(usize::MAX)),
        }
    }

    /// For `Store::limiter`.
    pub fn memory_limit(&mut self) -> &mut dyn ResourceLimiter {
        &mut self.memory
    }

    /// Whether the instance was refused memory.
    pub fn was_refused_memory(&self) -> bool {
        self.memory.refused()
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.outbound,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}

/// Outbound requests: denied, all of them.
struct Outbound;

type Sent = Result<
    (
        http::Response<WasiBody>,
        Box<dyn Future<Output = Result<(), Error>> + Send>,
    ),
    Error,
>;

impl WasiHttpHooks for Outbound {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        _options: Option<RequestOptions>,
        _done: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let uri = request.uri();
        warning!(
            "denied an outbound request of the guest to {}",
            uri.authority()
                .map_or("an unnamed host", |authority| authority.as_str())
        );
        Box::new(std::future::ready(Err(Error::HttpRequestDenied)))
    }
}
