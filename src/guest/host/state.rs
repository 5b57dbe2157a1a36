//! `HostState` is what belongs to one instance on the host's side: its WASI contexts, its resources, its limits.

use super::at_hand::LocalDevices;
use super::capabilities::Granted;
use super::database_lock::DatabaseLocks;
use super::guest_logger::GuestLogger;
use super::guest_output::GuestOutput;
use super::keyvalue::Store;
use super::listings::Listings;
use super::outbound::Outbound;
use super::postgres::Databases;
use super::recorded_files::FileNames;
use super::request_name::RequestName;
use super::sockets::{self, Peers};
use super::sqlite::Files;
use super::standing_resources::{Left, StandingResources};
use crate::guest::core_dump::CoreDumps;
use crate::guest::limits::GuestLimits;
use crate::guest::memory::instance::{InstanceMemory, Limiter};
use crate::guest::recording::{Recorder, Used};
use crate::guest::schedule::cpu_share::CpuShare;
use crate::guest::schedule::task_budget::{TaskBudget, TaskBudgets};
use crate::guest::snapshot::StandingHandle;
use crate::trace::Trace;
use rustls::RootCertStore;
use std::sync::{Arc, OnceLock};
use wasmtime::component::{GuestTaskId, ResourceTable};
use wasmtime::{ResourceLimiterAsync, StoreContextMut};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_config::WasiConfig;
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};
use wasmtime_wasi_io::IoView;

/// One instance may hold this many resources of the host at a time, open files among them: so many that a buffer for
/// each is no more than the instance's memory, and never more than this. A guest that holds more has lost count of
/// them.
const RESOURCES: usize = 10_000;

/// An instance may hold this many resources however little memory it has.
const FEW_RESOURCES: usize = 1000;

/// The host reads ahead this much for a stream, at most, in a thread whose allocations are not counted.
const BUFFER: usize = 64 << 10;

/// `HostState` is the data of one store.
pub struct HostState {
    /// The context is made when it is first asked for: many requests need nothing of it.
    wasi: Option<Box<WasiCtx>>,
    /// `wasi:random/insecure-seed` has said this to the guest.
    insecure_seed: Option<u128>,
    /// These are made when they are first asked for, too.
    standing: Option<Box<StandingResources>>,
    peers: OnceLock<Arc<Peers>>,
    http: WasiHttpCtx,
    outbound: Outbound,
    granted: Arc<Granted>,
    table: ResourceTable,
    memory: Limiter,
    listings: Listings,
    /// The files are named where they are recorded.
    file_names: FileNames,
    database_locks: DatabaseLocks,
    share: Arc<CpuShare>,
    /// Each of the requests that are answered at the same time has a budget here.
    task_budgets: TaskBudgets,
    logger: Arc<GuestLogger>,
    /// The request is recorded by it, if it is.
    recorder: Option<Arc<Recorder>>,
}

impl HostState {
    pub fn new(
        granted: &Arc<Granted>,
        limits: GuestLimits,
        share: Arc<CpuShare>,
        name: Option<RequestName>,
    ) -> HostState {
        let mut table = ResourceTable::new();
        let memory = InstanceMemory::new(limits.memory, granted.memory());
        table.set_max_capacity((memory.left() / BUFFER).clamp(FEW_RESOURCES, RESOURCES));
        let recorder = name.as_ref().and_then(|name| name.recorder.clone());
        let mut outbound = granted.outbound(limits.reuse.concurrency, trace(name.as_ref()));
        outbound.set_recorder(recorder.clone());
        HostState {
            wasi: None,
            insecure_seed: None,
            standing: None,
            http: WasiHttpCtx::new(),
            outbound,
            peers: OnceLock::new(),
            granted: granted.clone(),
            table,
            memory: Limiter(memory),
            listings: Listings::default(),
            file_names: FileNames::default(),
            database_locks: DatabaseLocks::default(),
            share,
            task_budgets: TaskBudgets::default(),
            recorder,
            logger: Arc::new(GuestLogger::new(name)),
        }
    }

    /// Ends the lines of the request that was answered.
    pub fn rest(&self) {
        let outputs = self.standing.iter().flat_map(|standing| &standing.outputs);
        outputs.for_each(GuestOutput::end_line);
        self.logger.rest();
    }

    /// Opens the resources that an instance begins with; nothing else is open.
    pub fn open_standing(&mut self, open: &[StandingHandle]) -> wasmtime::Result<()> {
        if open.is_empty() {
            return Ok(());
        }
        let standing = || Box::new(StandingResources::new(&self.logger));
        let standing = self.standing.get_or_insert_with(standing);
        standing.open(open, &mut self.table, sockets::open_network)
    }

    /// Lists what is open, where that is nothing but standing resources.
    pub fn left_standing(&mut self) -> Option<Vec<Left>> {
        match &self.standing {
            Some(standing) => standing.left(&mut self.table),
            None => self.table.is_empty().then(Vec::new),
        }
    }

    /// Forgets what belonged to an earlier request; the next is called `name`.
    pub fn renew(&mut self, share: Arc<CpuShare>, name: Option<RequestName>) {
        self.outbound = self.granted.outbound(1, trace(name.as_ref()));
        self.logger.set_request(name);
        self.memory.0.forgive();
        self.share = share;
    }

    /// Says where core dumps of the instance are kept, if they are.
    pub fn core_dumps(&self) -> Option<Arc<CoreDumps>> {
        self.granted.core_dumps().cloned()
    }

    /// Returns the count of what the instance takes.
    pub fn memory(&self) -> &Arc<InstanceMemory> {
        &self.memory.0
    }

    /// Notes that this task answers another request. As long as it is the only one, the guest's log lines belong to
    /// that request.
    pub fn join(&mut self, task: GuestTaskId, budget: Arc<TaskBudget>, name: Option<RequestName>) {
        let only = self.task_budgets.open(task, budget);
        self.logger.set_request(name.filter(|_| only));
    }

    /// Returns the budgets of the requests that are answered at the same time.
    pub fn task_budgets(&self) -> &TaskBudgets {
        &self.task_budgets
    }

    /// Returns what writes the guest's lines into the log.
    pub fn logger(&self) -> &GuestLogger {
        &self.logger
    }

    /// Returns the share of the request that is being answered.
    pub fn share(&self) -> &Arc<CpuShare> {
        &self.share
    }

    /// Returns the settings for `wasi:config`.
    pub fn settings(&self) -> WasiConfig<'_> {
        WasiConfig::from(self.granted.settings())
    }

    /// Returns the peers for `wasi:sockets`.
    pub fn peers(&self) -> &Arc<Peers> {
        self.peers.get_or_init(|| self.granted.peers())
    }

    /// Returns the authorities that are believed where a guest speaks TLS over its sockets, if it has any.
    pub fn authorities(&self) -> Option<&Arc<RootCertStore>> {
        self.granted.authorities()
    }

    /// Returns what records the request, if it is recorded.
    pub fn recorder(&self) -> Option<&Arc<Recorder>> {
        self.recorder.as_ref()
    }

    /// Returns what `wasi:random/insecure-seed` says to this instance: always the same.
    pub fn insecure_seed(&mut self) -> u128 {
        let recorder = self.recorder.as_ref();
        let drawn = || recorder.map_or_else(rand::random, |it| it.insecure_seed());
        *self.insecure_seed.get_or_insert_with(drawn)
    }

    /// Notes that the guest uses something whose answers are not recorded.
    pub fn uses(&self, used: Used) {
        if let Some(recorder) = &self.recorder {
            recorder.uses(used);
        }
    }

    /// Returns the store for `wasi:keyvalue`, where there is one.
    pub fn keyvalue(&self) -> Option<&Store> {
        self.granted.keyvalue()
    }

    /// Returns the databases for `spin:postgres`.
    pub fn postgres(&self) -> &Databases {
        self.granted.postgres()
    }

    /// Returns the databases for `spin:sqlite`.
    pub fn sqlite(&self) -> &Files {
        self.granted.sqlite()
    }

    pub fn local(&self) -> &LocalDevices {
        self.granted.local()
    }

    pub fn table(&self) -> &ResourceTable {
        &self.table
    }

    pub fn table_mut(&mut self) -> &mut ResourceTable {
        &mut self.table
    }

    /// Notes for which of several requests the guest asks a server next.
    pub fn set_outbound_trace(&mut self, trace: Option<Arc<Trace>>) {
        self.outbound.set_trace(trace);
    }

    /// Returns the locks that the instance holds, with the table of what it has open.
    pub fn database_locks(&mut self) -> (&mut DatabaseLocks, &mut ResourceTable) {
        (&mut self.database_locks, &mut self.table)
    }

    /// Gives back the locks of an instance that will not go on from where it is.
    pub fn release_locks(&mut self) {
        self.database_locks.end(&mut self.table);
    }

    /// Returns the names of what the guest has open.
    pub fn file_names(&mut self) -> &mut FileNames {
        &mut self.file_names
    }

    /// Returns the listings of directories.
    pub fn listings_mut(&mut self) -> &mut Listings {
        &mut self.listings
    }

    /// Returns the listings of directories, with the table that says which of them are still there.
    pub fn listings_and_table(&mut self) -> (&mut Listings, &ResourceTable) {
        (&mut self.listings, &self.table)
    }

    /// Returns what the engine asks before the instance grows.
    pub fn limiter(&mut self) -> &mut dyn ResourceLimiterAsync {
        &mut self.memory
    }
}

fn trace(name: Option<&RequestName>) -> Option<Arc<Trace>> {
    name?.trace.clone()
}

impl Drop for HostState {
    fn drop(&mut self) {
        self.release_locks();
    }
}

impl WasiView for HostState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let wasi = self.wasi.get_or_insert_with(|| {
            let standing = || Box::new(StandingResources::new(&self.logger));
            let standing = self.standing.get_or_insert_with(standing);
            let recorder = self.recorder.as_ref();
            let peers = self.peers.get_or_init(|| self.granted.peers());
            Box::new(self.granted.wasi(peers, standing, recorder))
        });
        WasiCtxView {
            ctx: wasi,
            table: &mut self.table,
        }
    }
}

impl IoView for HostState {
    fn table(&mut self) -> &mut ResourceTable {
        self.table_mut()
    }
}

impl WasiHttpView for HostState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.outbound,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}

/// Counts the time since the last interruption for the request that the instance runs for, and fails where its budget
/// is used up.
pub fn charge(
    share: &CpuShare,
    context: &mut StoreContextMut<'_, HostState>,
) -> wasmtime::Result<()> {
    let before = share.budget.spent();
    share.budget.check()?;
    if context.data().task_budgets().is_empty() {
        return Ok(());
    }
    // The first of those that called each other, up to what runs now.
    let Some(task) = context.async_call_stack()?.last() else {
        return Ok(());
    };
    let burned = share.budget.spent().saturating_sub(before);
    Ok(context.data().task_budgets().charge(task, burned)?)
}
