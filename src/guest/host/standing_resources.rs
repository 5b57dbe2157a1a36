//! `StandingResources` knows which standard streams an instance has open, and whether the network, and where they are in
//! its table of resources. The pool closes what a request has left open of them, and opens anew what an instance began
//! with.

use super::guest_logger::GuestLogger;
use super::guest_output::GuestOutput;
use crate::guest::snapshot::{StandingHandle, StandingResource};
use crate::log::GuestStream;
use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wasmtime::component::ResourceTable;
use wasmtime_wasi::cli::{IsTerminal, StdinStream};
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, InputStream, Network, Pollable, StreamError, StreamResult,
};

/// `StandingResources` belongs to one instance.
pub struct StandingResources {
    pub outputs: [GuestOutput; 2],
    pub input: NoInput,
    handed_out: HandedOut,
    /// The instance has begun with the network at this place.
    network: Option<u32>,
}

/// `HandedOut` has the standard streams that a guest has, by the addresses that they have in the meantime.
#[derive(Clone, Default)]
pub struct HandedOut(Arc<Mutex<HashMap<usize, (StandingResource, ResourceOrigin)>>>);

/// A `ResourceOrigin` says since when a resource is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResourceOrigin {
    /// The instance has begun with it.
    Snapshot,
    Request,
}

/// A `Left` resource is open, at this place of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    pub place: u32,
    pub resource: StandingResource,
    pub origin: ResourceOrigin,
}

impl HandedOut {
    pub fn note<T>(&self, handle: &T, stream: StandingResource, origin: ResourceOrigin) {
        self.known().insert(address(handle), (stream, origin));
    }

    pub fn forget<T>(&self, handle: &T) {
        self.known().remove(&address(handle));
    }

    fn find(&self, address: usize) -> Option<(StandingResource, ResourceOrigin)> {
        self.known().get(&address).copied()
    }

    fn known(&self) -> MutexGuard<'_, HashMap<usize, (StandingResource, ResourceOrigin)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn address<T>(handle: &T) -> usize {
    std::ptr::from_ref(handle).addr()
}

/// No more than these are looked at, at the end of a table.
const MOST: usize = 16;

/// They are looked for at this many places.
const PLACES: u32 = 1000;

impl StandingResources {
    pub fn new(logger: &Arc<GuestLogger>) -> StandingResources {
        let handed_out = HandedOut::default();
        let output = |stream| GuestOutput::new(stream, logger.clone(), handed_out.clone());
        StandingResources {
            outputs: [GuestStream::Stdout, GuestStream::Stderr].map(output),
            input: NoInput(handed_out.clone()),
            handed_out,
            network: None,
        }
    }

    /// Puts what an instance begins with into its table, which is empty. Where it has none of it yet, the
    /// network is what `network` puts there.
    pub fn open(
        &mut self,
        open: &[StandingHandle],
        table: &mut ResourceTable,
        network: impl Fn(&mut ResourceTable) -> wasmtime::Result<u32>,
    ) -> wasmtime::Result<()> {
        for (place, open) in (0..).zip(open) {
            let put = match open.resource {
                StandingResource::Output => table
                    .push(self.outputs[0].handle(ResourceOrigin::Snapshot))?
                    .rep(),
                StandingResource::Error => table
                    .push(self.outputs[1].handle(ResourceOrigin::Snapshot))?
                    .rep(),
                StandingResource::Input => table
                    .push(self.input.handle(ResourceOrigin::Snapshot))?
                    .rep(),
                StandingResource::Network => {
                    self.network = Some(place);
                    network(table)?
                }
            };
            wasmtime::ensure!(put == place, "the table of an instance is not empty");
        }
        Ok(())
    }

    /// Lists what a table has, where that is nothing but these resources.
    pub fn left(&self, table: &mut ResourceTable) -> Option<Vec<Left>> {
        let count = table.iter_mut().take(MOST + 1).count();
        if count > MOST {
            return None;
        }
        let mut left = Vec::new();
        for place in 0..PLACES {
            if left.len() == count {
                return Some(left);
            }
            if let Ok(resource) = table.get_any_mut(place) {
                let (known, origin) = match resource.is::<Network>() {
                    // One is like another, so that its place says enough.
                    true if self.network == Some(place) => {
                        (StandingResource::Network, ResourceOrigin::Snapshot)
                    }
                    true => (StandingResource::Network, ResourceOrigin::Request),
                    false => self.handed_out.find(address_of(resource)?)?,
                };
                left.push(Left {
                    place,
                    resource: known,
                    origin,
                });
            }
        }
        None
    }
}

fn address_of(resource: &dyn Any) -> Option<usize> {
    if let Some(stream) = resource.downcast_ref::<DynOutputStream>() {
        return Some(std::ptr::from_ref(&**stream).addr());
    }
    let stream = resource.downcast_ref::<DynInputStream>()?;
    Some(std::ptr::from_ref(&**stream).addr())
}

/// Guests read nothing from standard input.
#[derive(Clone)]
pub struct NoInput(HandedOut);

/// A guest has this in the place of standard input.
struct InputHandle(HandedOut);

impl NoInput {
    fn handle(&self, origin: ResourceOrigin) -> DynInputStream {
        let handle = Box::new(InputHandle(self.0.clone()));
        self.0.note(&*handle, StandingResource::Input, origin);
        handle
    }
}

impl IsTerminal for NoInput {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdinStream for NoInput {
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncRead + Send + Sync> {
        Box::new(tokio::io::empty())
    }

    fn p2_stream(&self) -> Box<dyn InputStream> {
        self.handle(ResourceOrigin::Request)
    }
}

impl InputStream for InputHandle {
    fn read(&mut self, _: usize) -> StreamResult<bytes::Bytes> {
        Err(StreamError::Closed)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for InputHandle {
    async fn ready(&mut self) {}
}

impl Drop for InputHandle {
    fn drop(&mut self) {
        self.0.forget(self);
    }
}
