//! A loaded component serves nobody yet: nothing in here has a thread or an open file of the host, so that a process
//! may load it and fork the processes that serve.

use super::handler::LinkedComponent;
use super::serial::Instance;
use crate::cache::seal;
use crate::guest::engine::CodeInfo;
use crate::guest::host::capabilities::{Capabilities, Granted};
use crate::guest::host::state::HostState;
use crate::guest::limits::GuestLimits;
use crate::guest::memory::worker::WorkerMemory;
use crate::guest::schedule::cpu_share::CpuShare;
use crate::guest::snapshot::Restorer;
use crate::guest::startup::Exported;
use anyhow::{Result, bail};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use wasmtime::component::Component;
use wasmtime::{Engine, Store};

/// A `Loaded` component is mapped and linked, and its pool is reserved.
pub struct Loaded {
    /// The component has this digest.
    pub component: String,
    pub(in crate::guest) engine: Engine,
    pub(in crate::guest) handler: LinkedComponent,
    pub(in crate::guest) exported: Exported,
    pub(in crate::guest) limits: GuestLimits,
    pub(in crate::guest) capabilities: Arc<Capabilities>,
    /// The restorer puts instances back between two requests, where the component allows it.
    pub(in crate::guest) restorer: Option<Arc<Restorer>>,
    /// The first instance was made before the fork, where instances can be restored, and has not run.
    pub(in crate::guest) first: Option<Instance>,
}

/// Reads which component code was made of.
pub(in crate::guest) fn digest(code: &OwnedFd) -> Result<String> {
    let name = seal::name(&File::from(code.try_clone()?))?;
    Ok(name.map(|name| name.component_digest()).unwrap_or_default())
}

impl Loaded {
    /// Links a component that was mapped from this code. Its instances begin as this primed snapshot has them, where
    /// there is one.
    pub fn new(
        code: &OwnedFd,
        primed: Option<&OwnedFd>,
        info: CodeInfo,
        component: Component,
        limits: GuestLimits,
        capabilities: Arc<Capabilities>,
    ) -> Result<Loaded> {
        let mut loaded = Loaded {
            exported: Exported::of(&component, info, primed.is_some()),
            handler: LinkedComponent::link(info.target, &component, Some(&capabilities))?,
            restorer: Restorer::open(code, primed)?,
            first: None,
            engine: component.engine().clone(),
            component: digest(code)?,
            limits,
            capabilities,
        };
        if let Some(restorer) = loaded.restorer.clone() {
            limits.admit(restorer.memory() as u64)?;
            loaded.first = Some(loaded.make(&restorer)?);
        }
        Ok(loaded)
    }

    /// Makes an instance without a host: an instance that can be restored asks the host for nothing while it is made.
    fn make(&self, restorer: &Arc<Restorer>) -> Result<Instance> {
        let granted = Granted::open(Arc::default(), WorkerMemory::unbounded(), &Arc::default())?;
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
