//! A lone guest runs before there is anything that serves, on a loop of its own.

use super::request::CompileRequest;
use crate::guest::host::capabilities::Granted;
use crate::guest::host::state::HostState;
use crate::guest::host::tracked_rng::TrackedRng;
use crate::guest::memory::worker::WorkerMemory;
use crate::guest::schedule::cpu_share::CpuShare;
use anyhow::{Context, Result};
use wasmtime::{Engine, Store};

/// Runs a guest that has no neighbours.
pub fn block_on_guest<T>(guest: impl Future<Output = T>) -> Result<T> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build();
    Ok(runtime
        .context("cannot start the loop that a guest runs in")?
        .block_on(guest))
}

impl CompileRequest {
    /// Makes a store without limits on time, for a guest that has no neighbours. It may note whether the guest draws
    /// random numbers.
    pub(super) fn one_off_store(
        &self,
        engine: &Engine,
        rng: Option<TrackedRng>,
    ) -> Result<Store<HostState>> {
        let (capabilities, memory) = (self.capabilities.clone(), WorkerMemory::unbounded());
        let granted = Granted::open_watched(capabilities, memory, rng)?;
        let state = HostState::new(&granted, self.limits, CpuShare::unlimited(), None);
        let mut store = Store::new(engine, state);
        store.limiter_async(HostState::limiter);
        store.set_hostcall_fuel(self.limits.each_call());
        store.set_epoch_deadline(u64::MAX >> 1);
        Ok(store)
    }
}
