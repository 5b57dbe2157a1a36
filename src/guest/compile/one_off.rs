//! A lone guest runs before there is anything that serves, on a loop of its own.

use super::request::CompileRequest;
use crate::guest::host::capabilities::Granted;
use crate::guest::host::request_name::RequestName;
use crate::guest::host::state::HostState;
use crate::guest::host::tracked_rng::TrackedRng;
use crate::guest::memory::worker::WorkerMemory;
use crate::guest::recording::Recorder;
use crate::guest::schedule::cpu_share::CpuShare;
use anyhow::{Context, Result};
use std::sync::Arc;
use wasmtime::{Engine, Store};

/// Runs a guest that has no neighbours.
pub fn block_on_guest<T>(guest: impl Future<Output = T>) -> Result<T> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build();
    Ok(runtime
        .context("cannot start the loop that a guest runs in")?
        .block_on(guest))
}

/// No guest is interrupted within so many epochs.
pub const NEVER: u64 = u64::MAX >> 1;

/// A `Watch` looks at what a guest is given that many others begin as.
pub struct Watch {
    pub rng: TrackedRng,
    /// It is recorded by it, if it is.
    pub recorder: Option<Arc<Recorder>>,
}

impl Watch {
    /// Says whether the guest has drawn random numbers.
    pub fn has_drawn(&self) -> bool {
        let recorder = self.recorder.as_ref();
        self.rng.was_used() || recorder.is_some_and(|recorder| recorder.has_drawn())
    }

    /// Writes down what the guest was given, if that is recorded and not too much.
    pub fn start(&self) -> Result<Vec<u8>> {
        let recorder = self.recorder.as_ref();
        let started = recorder.and_then(|recorder| recorder.started());
        started.map_or(Ok(Vec::new()), |start| start.bytes())
    }
}

impl CompileRequest {
    /// Makes a store without limits on time, for a guest that has no neighbours, and may be watched.
    pub(super) fn one_off_store(
        &self,
        engine: &Engine,
        watch: Option<&Watch>,
    ) -> Result<Store<HostState>> {
        let rng = watch.map(|watch| watch.rng.clone());
        let recorder = watch.and_then(|watch| watch.recorder.clone());
        let name = recorder.map(|recorder| RequestName {
            id: None,
            trace: None,
            recorder: Some(recorder),
        });
        let (capabilities, memory) = (self.capabilities.clone(), WorkerMemory::unbounded());
        let granted = Granted::open_watched(capabilities, memory, rng)?;
        let state = HostState::new(&granted, self.limits, CpuShare::unlimited(), name);
        let mut store = Store::new(engine, state);
        store.limiter_async(HostState::limiter);
        store.set_hostcall_fuel(self.limits.each_call());
        store.set_epoch_deadline(NEVER);
        Ok(store)
    }
}
