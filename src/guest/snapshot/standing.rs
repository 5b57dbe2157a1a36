//! Standard streams may be open in a snapshot: a program opens them when it first prints, and keeps them. They are the
//! same for every instance but for where their lines go, so that an instance gets them anew under the same numbers. So
//! is the network, which a C library opens with the first socket or name, and keeps: the handle alone allows nothing.

use super::{ResetHandle, Restorer, instrument};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use wasmtime::Store;
use wasmtime::component::{Resource, TypedFunc};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, Network};

/// A `StandingResource` is one of the host's that stays open from request to request: a standard stream, which every
/// program has, or the network, which is kept in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StandingResource {
    Output,
    Error,
    Input,
    Network,
}

/// A `StandingHandle` is that of a resource that is open in a snapshot, and has this number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StandingHandle {
    pub resource: StandingResource,
    pub handle: u32,
}

/// No handle of a standing resource has a higher number: the numbers are the bits of a number.
const HIGHEST: u32 = 63;

/// A snapshot has this many of them open, at most: C libraries, adapters and Rust open each once.
pub const MOST: usize = 8;

impl StandingResource {
    const ALL: [StandingResource; 4] = [
        StandingResource::Output,
        StandingResource::Error,
        StandingResource::Input,
        StandingResource::Network,
    ];

    pub(super) fn number(self) -> u64 {
        self as u64
    }

    pub(super) fn of(number: u64) -> Option<StandingResource> {
        StandingResource::ALL
            .get(usize::try_from(number).ok()?)
            .copied()
    }
}

/// Says why a snapshot cannot have these resources open, if it cannot: their numbers ascend.
pub fn objection(open: &[StandingHandle]) -> Option<String> {
    let numbers = || open.iter().map(|open| open.handle);
    if open.len() > MOST {
        let count = open.len();
        return Some(format!(
            "it has opened its standard streams {count} times, and may have {MOST} of them open"
        ));
    }
    let is_known = numbers().all(|number| (1..=HIGHEST).contains(&number));
    let is_sound = is_known && numbers().is_sorted_by(|one, next| one < next);
    (!is_sound).then(|| {
        format!(
            "a standard stream was opened while {HIGHEST} and more other things of the host were open"
        )
    })
}

/// Gives the numbers of handles as the bits of a number.
pub(super) fn bits(open: &[StandingHandle]) -> u64 {
    open.iter().fold(0, |bits, open| bits | 1 << open.handle)
}

/// Expects a number of a handle to what is in the host's table at this place, where the first places are those of
/// standing resources, and where places and numbers were given out and given back alike.
fn expected(place: u32, open: &[StandingHandle]) -> u32 {
    let is_free = |number: &u32| open.iter().all(|open| open.handle != *number);
    let further = (place as usize).saturating_sub(open.len());
    (1..).filter(is_free).nth(further).unwrap_or(u32::MAX)
}

impl Restorer {
    /// Returns what is open in the snapshot; the host has the first places of its table for them, in this
    /// order.
    pub fn standing_handles(&self) -> &[StandingHandle] {
        &self.open
    }
}

impl ResetHandle {
    /// Returns what is open in the snapshot.
    pub fn standing_handles(&self) -> &[StandingHandle] {
        &self.restorer.open
    }

    /// Has an instance that was just made take over what is open in its snapshot, from the first places of
    /// the host's table.
    pub(super) async fn take_over(&self, store: &mut Store<impl Send>) -> wasmtime::Result<()> {
        let open = &self.restorer.open;
        if open.is_empty() {
            return Ok(());
        }
        let take: TypedFunc<(), (u32,)> = self.function(store, instrument::TAKE)?;
        let give: TypedFunc<(u32,), ()> = self.function(store, instrument::GIVE)?;
        let (mut taken, mut next) = (Vec::new(), 1);
        for (place, open) in (0..).zip(open) {
            while next < open.handle {
                let (number,) = take.call_async(&mut *store, ()).await?;
                wasmtime::ensure!(number == next, OTHER);
                taken.push(number);
                next += 1;
            }
            let name = instrument::ADOPT[open.resource as usize];
            let (number,) = match open.resource {
                StandingResource::Output | StandingResource::Error => {
                    let adopt: TypedFunc<(Resource<DynOutputStream>,), (u32,)> =
                        self.function(store, name)?;
                    let stream = Resource::new_own(place);
                    adopt.call_async(&mut *store, (stream,)).await?
                }
                StandingResource::Input => {
                    let adopt: TypedFunc<(Resource<DynInputStream>,), (u32,)> =
                        self.function(store, name)?;
                    let stream = Resource::new_own(place);
                    adopt.call_async(&mut *store, (stream,)).await?
                }
                StandingResource::Network => {
                    let adopt: TypedFunc<(Resource<Network>,), (u32,)> =
                        self.function(store, name)?;
                    let network = Resource::new_own(place);
                    adopt.call_async(&mut *store, (network,)).await?
                }
            };
            wasmtime::ensure!(number == open.handle, OTHER);
            next += 1;
        }
        for number in taken.into_iter().rev() {
            give.call_async(&mut *store, (number,)).await?;
        }
        Ok(())
    }

    /// Closes the resource at this place of the host's table, and gives the number of its handle. The caller sees to it
    /// that nothing else has gone.
    pub fn close(
        &self,
        store: &mut Store<impl Send>,
        place: u32,
        resource: StandingResource,
    ) -> wasmtime::Result<u32> {
        let number = expected(place, &self.restorer.open);
        let name = instrument::CLOSE[resource as usize];
        let close: TypedFunc<(u32,), ()> = self.function(store, name)?;
        // It is short, and asks nobody for anything but to close the stream.
        store.set_epoch_deadline(u64::MAX >> 1);
        let closed = pin!(close.call_async(store, (number,)));
        match closed.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(closed) => closed.map(|()| number),
            Poll::Pending => wasmtime::bail!("it waits for something"),
        }
    }

    fn function<P, R>(
        &self,
        store: &mut Store<impl Send>,
        name: &'static str,
    ) -> wasmtime::Result<TypedFunc<P, R>>
    where
        P: wasmtime::component::ComponentNamedList + wasmtime::component::Lower,
        R: wasmtime::component::ComponentNamedList + wasmtime::component::Lift,
    {
        self.parts.of_application(store, name)
    }
}

const OTHER: &str = "the engine gives out other handle numbers than the snapshot has";

#[cfg(test)]
mod tests {
    use super::*;

    fn open(handles: &[u32]) -> Vec<StandingHandle> {
        let resource = StandingResource::Error;
        let handles = handles.iter();
        handles
            .map(|handle| StandingHandle {
                resource,
                handle: *handle,
            })
            .collect()
    }

    #[test]
    fn handles_are_expected_where_none_is_open() {
        assert_eq!([0, 1, 2].map(|place| expected(place, &[])), [1, 2, 3]);
        let few = open(&[1, 3]);
        assert_eq!([2, 3, 4].map(|place| expected(place, &few)), [2, 4, 5]);
        assert_eq!(bits(&few), 0b1010);
    }

    #[test]
    fn numbers_that_cannot_be_are_refused() {
        assert_eq!(objection(&open(&[])), None);
        assert_eq!(objection(&open(&[1, 63])), None);
        for wrong in [
            &[0][..],
            &[64],
            &[2, 1],
            &[1, 1],
            &[1, 2, 3, 4, 5, 6, 7, 8, 9],
        ] {
            assert!(objection(&open(wrong)).is_some(), "{wrong:?}");
        }
    }
}
