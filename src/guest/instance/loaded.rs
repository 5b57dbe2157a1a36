//! A component that is loaded, and serves nobody yet: nothing in here has a thread or an open file of the host, so
//! that a process may load it and fork the processes that serve.

use super::handler::LinkedComponent;
use super::serial::Instance;
use crate::guest::engine::Plan;
use crate::guest::host::capabilities::{Capabilities, Granted};
use crate::guest::host::state::HostState;
use crate::guest::limits::Limits;
use crate::guest::memory::worker::WorkerMemory;
use crate::guest::schedule::cpu_share::CpuShare;
use crate::guest::snapshot::Restorer;
use anyhow::{Result, bail};
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use wasmtime::component::Component;
use wasmtime::{Engine, Store};

/// Mapped, linked, its pool reserved.
pub struct Loaded {
    pub(in crate::guest) engine: Engine,
    pub(in crate::guest) handler: LinkedComponent,
    pub(in crate::guest) limits: Limits,
    pub(in crate::guest) capabilities: Arc<Capabilities>,
    /// What instances are put back with, where they can be.
    pub(in crate::guest) restorer: Option<Arc<Restorer>>,
    /// Where they can be, one that was made and has not run.
    pub(in crate::guest) first: Option<Instance>,
}

impl Loaded {
    /// Links a component, which was mapped from this code to be served.
    pub fn new(
        code: &OwnedFd,
        plan: Plan,
        component: Component,
        limits: Limits,
        capabilities: Arc<Capabilities>,
    ) -> Result<Loaded> {
        let mut loaded = Loaded {
            handler: LinkedComponent::link(plan.target, &component)?,
            restorer: Restorer::open(code)?,
            first: None,
            engine: component.engine().clone(),
            limits,
            capabilities,
        };
        if let Some(restorer) = loaded.restorer.clone() {
            limits.admit(restorer.memory() as u64)?;
            loaded.first = Some(loaded.make(&restorer)?);
        }
        Ok(loaded)
    }

    /// An instance that can be put back asks the host for nothing while it is made: it is made without one.
    fn make(&self, restorer: &Arc<Restorer>) -> Result<Instance> {
        let granted = Granted::open(Arc::default(), WorkerMemory::unbounded())?;
        let state = HostState::new(&granted, self.limits, CpuShare::unlimited(), None);
        let mut store = Store::new(&self.engine, state);
        store.limiter_async(HostState::limiter);
        store.set_epoch_deadline(u64::MAX >> 1);
        let making = pin!(Instance::new(&self.handler, store, Some(restorer)));
        match making.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(instance)) => Ok(instance),
            Poll::Ready(Err(failure)) => bail!("no instance can be made of it: {failure}"),
            Poll::Pending => bail!("an instance waits for something while it is made"),
        }
    }
}
