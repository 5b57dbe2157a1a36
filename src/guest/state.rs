//! What belongs to one instance on the host's side: its WASI contexts, its resources, its limits.

use super::author::Author;
use super::call::Share;
use super::capabilities::Granted;
use super::engine::Limits;
use super::keyvalue::Store;
use super::limits::MemoryLimit;
use super::outbound::Outbound;
use super::output::{Output, Stream};
use super::sockets::Peers;
use http::HeaderValue;
use std::sync::Arc;
use wasmtime::ResourceLimiter;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_config::WasiConfig;
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

/// The data of one store.
pub struct State {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    outbound: Outbound,
    peers: Arc<Peers>,
    granted: Arc<Granted>,
    table: ResourceTable,
    memory: MemoryLimit,
    share: Arc<Share>,
    author: Arc<Author>,
    outputs: [Output; 2],
}

impl State {
    pub fn new(
        granted: &Arc<Granted>,
        limits: Limits,
        share: Arc<Share>,
        name: Option<HeaderValue>,
    ) -> State {
        let peers = granted.peers();
        let author = Arc::new(Author::new(name));
        let outputs =
            [Stream::Stdout, Stream::Stderr].map(|stream| Output::new(stream, author.clone()));
        State {
            wasi: granted.wasi(&peers, &outputs),
            http: WasiHttpCtx::new(),
            outbound: granted.outbound(),
            peers,
            granted: granted.clone(),
            table: ResourceTable::new(),
            memory: MemoryLimit::new(usize::try_from(limits.memory).unwrap_or(usize::MAX)),
            share,
            author,
            outputs,
        }
    }

    /// Nothing that comes from here on belongs to the request that was answered.
    pub fn rest(&self) {
        self.outputs.iter().for_each(Output::end_line);
    }

    /// Forgets what belonged to an earlier request; the next is called `name`.
    pub fn renew(&mut self, share: Arc<Share>, name: Option<HeaderValue>) {
        self.author.turn_to(name);
        self.outbound = self.granted.outbound();
        self.memory.forgive();
        self.share = share;
    }

    /// Who speaks for the guest in the log.
    pub fn author(&self) -> &Author {
        &self.author
    }

    /// Of the request that is being answered.
    pub fn share(&self) -> &Arc<Share> {
        &self.share
    }

    /// For `wasi:config`.
    pub fn settings(&self) -> WasiConfig<'_> {
        WasiConfig::from(self.granted.settings())
    }

    /// For `wasi:sockets`.
    pub fn peers(&self) -> &Arc<Peers> {
        &self.peers
    }

    /// For `wasi:keyvalue`, where there is one.
    pub fn keyvalue(&self) -> Option<&Store> {
        self.granted.keyvalue()
    }

    pub fn table(&self) -> &ResourceTable {
        &self.table
    }

    pub fn table_mut(&mut self) -> &mut ResourceTable {
        &mut self.table
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
