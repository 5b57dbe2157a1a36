//! This room restores instances to what they were when they were made, so that each request finds a fresh one that did
//! not have to be made for it. An instance can change the contents and the sizes of its memories, which are ours
//! (`memory`), its globals, which a module keeps that was added to the component, and the order in which the engine
//! gives out handle numbers, which that module resets (`instrument`). The rest is checked before: a component that
//! uses anything that is not known here, or that asks the host for something while an instance is made, is not served
//! in this way; of Go it is known that it asks, and it begins when the instance is whole. The host's resources are new
//! for each request; an instance that still has handles to those of the last, other than standard streams (`streams`),
//! is not used again, and neither is one that still has tasks, streams or futures (`leftovers`).
//!
//! It is our own, as the engine makes instances quickly and never puts one back; Wizer and `component-init` freeze a
//! component once, when it is built.

mod data;
mod file;
mod idle;
mod instrument;
mod leftovers;
mod memory;
mod parts;
mod primed;
mod standing;

pub use data::{Segment, take_out_data};
pub use file::{Snapshot, append, shared_code};
pub use idle::IdleMemory;
pub use instrument::{FEATURES, instrument};
pub use leftovers::{is_idle, order_places, renew_places};
pub use memory::Memories;
pub use primed::{LONGEST_NOTE, Rest};
pub use standing::{StandingHandle, StandingResource, objection};

use crate::sys::region::DirtyPages;
use anyhow::{Context, Result, bail};
use memory::{Collected, Regions};
use parts::Parts;
use primed::Global;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{self, Poll, Waker};
use wasmtime::component::{Instance, InstancePre, Resource, ResourceTable, TypedFunc};
use wasmtime::{AsContextMut, Store};
use wasmtime_wasi_http::p2::types::{HostIncomingRequest, HostResponseOutparam};
use wasmtime_wasi_http::p3::bindings::http::types::{ErrorCode, Request, Response};

/// The format has this version, which changes with what is added to components and with the form of snapshots: code
/// in a cache may be older.
pub const FORMAT: u32 = 12;

/// Says why instances of a component cannot be restored, as far as that can be told without making one.
pub fn validate(binary: &[u8]) -> Result<()> {
    instrument::instrument(binary).map(drop)
}

/// A `Restorer` restores the instances of one component.
pub struct Restorer {
    snapshot: Snapshot,
    /// These globals are not what they are in an instance that was just made; none where the snapshot is of one.
    primed: Option<Vec<Global>>,
    /// These streams are open in the snapshot.
    open: Vec<StandingHandle>,
    /// Recordings say by this how the application started.
    start: Vec<u8>,
    /// The snapshot has this many bytes of memory more than an instance that was just made.
    grown: usize,
    dirty_pages: DirtyPages,
}

/// A `ResetHandle` restores one instance.
pub struct ResetHandle {
    restorer: Arc<Restorer>,
    parts: Parts,
    regions: Regions,
    /// A request that is answered by `handle` or `service` leaves the numbers of handles up to this one in order.
    kept_in_order: u32,
}

/// The component exports `handle` of `wasi:http/handler@0.3` with this type.
pub type ServiceHandle = TypedFunc<(Resource<Request>,), (Result<Resource<Response>, ErrorCode>,)>;

/// The component exports `handle` of `wasi:http/incoming-handler@0.2` with this type.
pub type Handle = TypedFunc<
    (
        Resource<HostIncomingRequest>,
        Resource<HostResponseOutparam>,
    ),
    (),
>;

impl Restorer {
    /// Opens the snapshot behind the code; returns `None` where there is none.
    /// Where there is a primed snapshot, instances are restored to that.
    pub fn open(code: &impl AsFd, primed: Option<&OwnedFd>) -> Result<Option<Arc<Restorer>>> {
        let snapshot = Snapshot::beside(code).context("cannot map the snapshot beside the code")?;
        let Some(snapshot) = snapshot else {
            return Ok(None);
        };
        let mut restorer = Restorer {
            snapshot,
            primed: None,
            open: Vec::new(),
            start: Vec::new(),
            grown: 0,
            dirty_pages: DirtyPages::default(),
        };
        if let Some(primed) = primed {
            let before = restorer.memory();
            let primed::Primed {
                snapshot,
                globals,
                open,
                start,
            } = primed::open(primed)?;
            restorer.snapshot = snapshot;
            restorer.primed = Some(globals);
            restorer.open = open;
            restorer.start = start;
            restorer.grown = restorer.memory().saturating_sub(before);
        }
        Ok(Some(Arc::new(restorer)))
    }

    /// Says whether instances begin after the application's start.
    pub fn is_primed(&self) -> bool {
        self.primed.is_some()
    }

    /// Returns what a recording says of the application's start, if anything is recorded.
    pub fn start(&self) -> &[u8] {
        &self.start
    }

    /// Binds the restorer to this process, after a fork.
    pub fn settle(&self) {
        self.dirty_pages.settle();
    }

    /// Computes the bytes of memory that an instance begins with.
    pub fn memory(&self) -> usize {
        let sizes = self.snapshot.memories().map(|(size, _)| size);
        sizes.fold(0, usize::saturating_add)
    }

    /// Makes an instance, and the handle that restores it. The streams that are open in the snapshot are at the first
    /// places of the host's table.
    pub async fn instance<T: Send + 'static>(
        self: &Arc<Self>,
        pre: &InstancePre<T>,
        store: &mut Store<T>,
    ) -> wasmtime::Result<(Instance, ResetHandle)> {
        let (instance, parts, regions) = made(pre, store).await?;
        regions.lay(&mut *store, &self.snapshot, self.is_primed())?;
        if let Some(globals) = &self.primed {
            parts.set_globals(store, globals).await?;
        }
        let reset_handle = ResetHandle {
            restorer: self.clone(),
            parts,
            regions,
            kept_in_order: 0,
        };
        reset_handle.take_over(store).await?;
        renew_places(store, 0).map_err(wasmtime::Error::from_anyhow)?;
        Ok((instance, reset_handle))
    }
}

/// No more handle numbers than these are reset: it takes a moment for each.
const MANY_HANDLES: u32 = 1000;

/// Counts the handles that an instance has had at a time, at most, since the host's side of them was this table.
/// Returns `None` where more are left than these, which stay in the engine's table too, where nobody else can give them
/// up; or where they have been very many. The table is of no use afterwards.
pub fn handles_in_use(table: &mut ResourceTable, left: usize) -> Option<u32> {
    if table.iter_mut().take(left + 1).count() != left {
        return None;
    }
    // As long as it may not grow, there is a place where something was before.
    table.set_max_capacity(0);
    let count = (0..=MANY_HANDLES).find(|_| table.push(()).is_err())?;
    let count = count + u32::try_from(left).ok()?;
    Some(count).filter(|count| *count < MANY_HANDLES)
}

/// Gives the numbers of handles up to this one as bits, but for those that stay; `None` where there are too many.
fn numbers(count: u32, standing: u64) -> Option<u64> {
    let all = 1_u64.checked_shl(count)?;
    // The first number is 1, so that the lowest bit is of none.
    Some((all | (all - 1)) & !1 & !standing)
}

/// Resolves a call that waits for nothing.
fn at_once<T>(call: Pin<&mut impl Future<Output = T>>) -> Result<T> {
    match call.poll(&mut task::Context::from_waker(Waker::noop())) {
        Poll::Ready(called) => Ok(called),
        Poll::Pending => bail!("it waits for something"),
    }
}

/// Makes an instance, has it save its state, and gives its memories.
pub async fn make<T: Send + 'static>(
    pre: &InstancePre<T>,
    store: &mut Store<T>,
) -> wasmtime::Result<Regions> {
    let (_, _, regions) = made(pre, store).await?;
    Ok(regions)
}

async fn made<T: Send + 'static>(
    pre: &InstancePre<T>,
    store: &mut Store<T>,
) -> wasmtime::Result<(Instance, Parts, Regions)> {
    let (instance, regions) = Collected::new(pre.instantiate_async(&mut *store)).await;
    let instance = instance?;
    let parts = Parts::of(instance, store)?;
    parts.save(store).await?;
    Ok((instance, parts, regions))
}

impl ResetHandle {
    /// Restores the memories. The globals, and what the engine knows of the memories' sizes, are restored by
    /// `restore`, before anything else of the instance runs.
    pub fn reset(&self, store: impl AsContextMut) -> io::Result<()> {
        let Restorer {
            snapshot,
            dirty_pages,
            ..
        } = &*self.restorer;
        self.regions.reset(store, snapshot, dirty_pages)
    }

    /// Has the engine give out handle numbers as it did at first. No more than `count` of them were in use at a time,
    /// and now none is but those of the streams that are open in the snapshot, whose numbers may be higher than that;
    /// otherwise it fails.
    ///
    /// Nothing is to be done where the instance has `answered` by `handle` or `service`, and none but them has called it
    /// since: they put in order what they expect, and have found all of it free, as nothing is left now. Had they not,
    /// they would trap when they are called again. The table of tasks and streams has begun anew since (`order_places`).
    pub fn reset_handle_numbers(
        &mut self,
        store: &mut Store<impl Send>,
        count: u32,
        answered: bool,
    ) -> Result<()> {
        let open = &self.restorer.open;
        let standing = standing::bits(open);
        let highest = open.iter().map(|open| open.handle).max();
        let count = count.max(highest.unwrap_or_default());
        if answered && count <= self.kept_in_order {
            return Ok(());
        }
        // It is a short loop, and asks nobody for anything.
        store.set_epoch_deadline(u64::MAX >> 1);
        let tasks = usize::from(store.concurrent_resource_table().is_some());
        let most = store.max_component_handles();
        for part in 0..self.parts.count() {
            // The streams are the application's, which comes first; they are in use while the others are put in order.
            let (standing, elsewhere) = match part {
                0 => (standing, 0),
                _ => (0, open.len()),
            };
            // A task has one more, for the call itself. Where any other is left, the last one is refused.
            store.set_max_component_handles(count as usize + elsewhere + tasks);
            let ordered = pin!(self.parts.order(part, store, count, standing));
            at_once(ordered)??;
        }
        store.set_max_component_handles(most);
        if count > self.kept_in_order
            && let (Some(expect), Some(numbers)) = (self.parts.expect(), numbers(count, standing))
        {
            at_once(pin!(expect.call_async(&mut *store, (numbers,))))??;
            self.kept_in_order = count;
        }
        renew_places(store, count)
    }

    /// Returns the number up to which a request that is answered leaves numbers of handles in order.
    #[cfg(test)]
    pub fn kept_in_order(&self) -> u32 {
        self.kept_in_order
    }

    /// Restores the memories, and gives the pages that were written to back to the kernel.
    pub fn release_memory(&self, mut store: impl AsContextMut) -> io::Result<()> {
        self.reset(&mut store)?;
        self.regions.release_memory(store)
    }

    /// Gives what puts the instance's memory away while it waits.
    pub fn idle_memory(&self) -> IdleMemory {
        IdleMemory::new(self.restorer.clone(), self.regions.clone())
    }

    /// Writes over all memory of the instance, accessible to it or not, as a request may have done at worst.
    #[cfg(any(test, feature = "fuzzing"))]
    pub fn overwrite(&self, store: impl AsContextMut) {
        self.regions.overwrite(store);
    }

    /// Returns the function that does the same as `restore` and then answers a request, where there is one.
    pub fn handle(&self) -> Option<Handle> {
        self.parts.handle()
    }

    /// Returns the function that does so for a request of WASI 0.3.
    pub fn service(&self) -> Option<ServiceHandle> {
        self.parts.service()
    }

    /// Writes a primed snapshot of the instance as it is now, where its globals were these when it was made.
    pub async fn prime(
        &self,
        store: &mut Store<impl Send>,
        before: &[u64],
        rest: Rest<'_>,
        file: &mut File,
    ) -> Result<()> {
        let now = self.globals(store).await?;
        let changed = (0..).zip(before.iter().zip(&now));
        let changed: Vec<Global> = changed
            .filter(|(_, (before, now))| before != now)
            .map(|(number, (_, now))| (number, *now))
            .collect();
        primed::write(&self.regions.contents(store), &changed, rest, file)
    }

    pub async fn restore(&self, store: &mut Store<impl Send>) -> wasmtime::Result<()> {
        self.parts.restore(store).await
    }

    /// Restores all parts but the one that does so itself when it answers a request.
    pub async fn restore_others(&self, store: &mut Store<impl Send>) -> wasmtime::Result<()> {
        self.parts.restore_others(store).await
    }

    /// Says whether instances are restored to what they were after their application was started, and how many bytes
    /// of memory they have more then than when they are made.
    pub fn primed(&self) -> Option<usize> {
        let restorer = &self.restorer;
        restorer.is_primed().then_some(restorer.grown)
    }

    /// Reads the globals of the instance, in the order of their numbers.
    pub async fn globals(&self, store: &mut Store<impl Send>) -> wasmtime::Result<Vec<u64>> {
        self.parts.globals(store).await
    }

    /// Has the instance's C library forget the directories that it was given.
    pub async fn release_directories(&self, store: &mut Store<impl Send>) -> wasmtime::Result<()> {
        self.parts.release_directories(store).await
    }
}
