//! This file asks the engine what is left of a request in a store whose component is asynchronous. The engine keeps
//! tasks, streams, futures and sets of them in a table, which can be looked at, and runs what the host does for them
//! beside the guest, which can be told by how it polls. Where something is left, an instance is not used again.

use anyhow::{Context as _, Result, ensure};
use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use wasmtime::component::{Accessor, AccessorTask, ResourceTable};
use wasmtime::{AsContextMut, Engine, Store};

/// No more places than these are put in order for each request: whoever has had more gets a new instance.
const MOST: u32 = 500;

/// It is looked this often, at most, whether the host has something left to do: each time it may get on with it.
const LOOKS: usize = 8;

/// Has the engine give out the places of its table of tasks and streams from the first again, and counts how many have
/// been in use at a time since they were last given out so. Fails where one is in use. Guests see no places, but events
/// that come at the same time come in their order.
pub fn order_places<T>(store: &mut Store<T>) -> Result<u32> {
    let Some(table) = store.concurrent_resource_table() else {
        return Ok(0);
    };
    ensure!(table.is_empty(), LEFT);
    // As long as it may not grow, there is a place where something was before.
    let capacity = table.max_capacity();
    table.set_max_capacity(0);
    let count = (0..=MOST).find(|_| table.push(()).is_err());
    *table = empty_table(capacity, count.unwrap_or_default());
    count.context("it has had very many tasks and streams at a time")
}

/// Does the same where nobody wants to know how many there were, and where about this many are to be expected.
pub fn renew_places<T>(store: &mut Store<T>, expected: u32) -> Result<()> {
    if let Some(table) = store.concurrent_resource_table() {
        ensure!(table.is_empty(), LEFT);
        *table = empty_table(table.max_capacity(), expected);
    }
    Ok(())
}

/// Makes a table that may have so many entries, with room for those that are expected.
fn empty_table(most: usize, expected: u32) -> ResourceTable {
    let mut table = ResourceTable::with_capacity(expected as usize);
    table.set_max_capacity(most);
    table
}

const LEFT: &str = "a task, a stream or a future is left";

/// Says whether neither tasks are left in a store, nor anything that the host does for them beside the guest, after it
/// has done what can be done at once.
///
/// The engine polls what it is given to run, then what the host does beside it, and where nothing is left of that, it
/// polls once more what it was given, before it waits. So what it was given is polled twice at a time where nothing is
/// left, and once where something is: provided that nothing can have got on since the time before, which would have
/// woken the waker or be a task of the guest.
///
/// That is how the engine polls, and nothing that it promises: where it polls otherwise, nobody is idle.
pub fn is_idle<T: Send + 'static>(store: &mut Store<T>) -> bool {
    if store.concurrent_resource_table().is_none() {
        return true;
    }
    can_be_told(store.engine()) && looks_idle(store)
}

/// Tries, once in each process, whether the engine polls so that it can be told what is left.
fn can_be_told(engine: &Engine) -> bool {
    static CAN_BE_TOLD: OnceLock<bool> = OnceLock::new();
    *CAN_BE_TOLD.get_or_init(|| {
        let mut store = Store::new(engine, ());
        let is_idle = looks_idle(&mut store);
        let Ok(waiting) = store.spawn(Waits) else {
            return false;
        };
        let is_busy = !looks_idle(&mut store) && !looks_idle(&mut store);
        waiting.abort();
        is_idle && is_busy && looks_idle(&mut store)
    })
}

/// A task of the host that waits for ever.
struct Waits;

impl AccessorTask<()> for Waits {
    async fn run(self, _: &Accessor<()>) -> wasmtime::Result<()> {
        pending().await
    }
}

fn looks_idle<T: Send + 'static>(store: &mut Store<T>) -> bool {
    let (polls, has_tasks) = (Cell::new(0), Cell::new(false));
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    let context = &mut Context::from_waker(&waker);
    let mut running = pin!(store.run_concurrent(async |accessor| {
        poll_fn(|_| {
            polls.set(polls.get() + 1);
            if has_entries(accessor) {
                has_tasks.set(true);
            }
            Poll::<()>::Pending
        })
        .await
    }));
    // What was woken before the first look has woken another waker.
    let mut was_quiet = false;
    for _ in 0..LOOKS {
        polls.set(0);
        if running.as_mut().poll(context).is_ready() {
            return false;
        }
        let is_quiet = !woken.0.swap(false, Relaxed) && !has_tasks.take();
        if is_quiet && was_quiet {
            return polls.get() == 2;
        }
        was_quiet = is_quiet;
    }
    false
}

fn has_entries<T: 'static>(accessor: &Accessor<T>) -> bool {
    accessor.with(|mut access| {
        let mut store = access.as_context_mut();
        let table = store.concurrent_resource_table();
        table.is_none_or(|table| !table.is_empty())
    })
}

/// `Woken` notes that it was woken.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmtime::Config;

    /// A task of the host that ends when it is looked at.
    struct Ends;

    impl AccessorTask<()> for Ends {
        async fn run(self, _: &Accessor<()>) -> wasmtime::Result<()> {
            Ok(())
        }
    }

    fn store() -> Store<()> {
        let engine = Engine::new(Config::new().concurrency_support(true)).unwrap();
        Store::new(&engine, ())
    }

    #[test]
    fn what_the_host_does_beside_the_guest_is_noticed() {
        let mut store = store();
        assert!(is_idle(&mut store) && is_idle(&mut store));
        for _ in 0..10 {
            store.spawn(Ends).unwrap();
        }
        assert!(is_idle(&mut store) && is_idle(&mut store));
        let waits = store.spawn(Waits).unwrap();
        assert!(!is_idle(&mut store) && !is_idle(&mut store));
        for _ in 0..100 {
            store.spawn(Ends).unwrap();
            assert!(!is_idle(&mut store));
        }
        waits.abort();
        assert!(is_idle(&mut store));
    }

    #[test]
    fn places_are_given_out_from_the_first_again() {
        let mut store = store();
        assert_eq!(order_places(&mut store).unwrap(), 0);
        let table = store.concurrent_resource_table().unwrap();
        let places: Vec<_> = (0..5).map(|_| table.push(()).unwrap()).collect();
        assert!(order_places(&mut store).is_err());
        assert!(!is_idle(&mut store));
        let table = store.concurrent_resource_table().unwrap();
        for place in places {
            table.delete(place).unwrap();
        }
        let most = store.concurrent_resource_table().unwrap().max_capacity();
        assert_eq!(order_places(&mut store).unwrap(), 5);
        for _ in 0..2 {
            let table = store.concurrent_resource_table().unwrap();
            assert_eq!(table.max_capacity(), most);
            let places: Vec<_> = (0..7).map(|_| table.push(()).unwrap()).collect();
            assert!(places.iter().map(|place| place.rep()).eq(0..7));
            assert!(renew_places(&mut store, 0).is_err());
            let table = store.concurrent_resource_table().unwrap();
            for place in places {
                table.delete(place).unwrap();
            }
            renew_places(&mut store, 3).unwrap();
        }
        assert_eq!(order_places(&mut store).unwrap(), 0);
    }

    #[test]
    fn whoever_has_had_very_many_is_not_put_in_order() {
        let mut store = store();
        let table = store.concurrent_resource_table().unwrap();
        let places: Vec<_> = (0..=MOST).map(|_| table.push(()).unwrap()).collect();
        for place in places {
            table.delete(place).unwrap();
        }
        assert!(order_places(&mut store).is_err());
    }
}
