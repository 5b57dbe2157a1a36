//! This room compares restored instances with fresh ones, for components that are made up: the same calls have the
//! same results, the same traps, and leave the same globals, memories and tables. Between two requests all memory is
//! overwritten, also what is accessible behind its end: none of that may be seen again.

#[cfg(test)]
mod answering;
mod case;
mod modules;
mod probe;
mod scan;
mod tasks;
#[cfg(test)]
mod tests;

pub use scan::scan_any_bytes;

use crate::cache::{CodeName, seal};
use crate::guest::compile::compile_restorable as compile;
use crate::guest::component::info::World;
use crate::guest::component::target::Target;
use crate::guest::engine::{self, code};
use crate::guest::snapshot::{ResetHandle, Rest, Restorer, handles_in_use, is_idle, order_places};
use crate::sys::memory::empty_file;
use arbitrary::Unstructured;
use case::{Call, Case, HOST};
use std::fs::File;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use wasmtime::component::{
    Component, Instance, InstancePre, Linker, Resource, ResourceTable, ResourceType, Val,
};
use wasmtime::{Engine, Store, Trap};

/// Nobody looks for the code by this name.
const NAME: CodeName = CodeName {
    component: [0; 32],
    engine: 0,
};

/// A `ComparisonResult` says what came of a component.
#[derive(Debug, PartialEq, Eq)]
pub enum ComparisonResult {
    /// The bytes were too few, or of no use.
    Nothing,
    /// The component's instances are made anew, for this reason.
    MadeAnew(String),
    /// The component's instances are restored; this many requests found the same as with a fresh one.
    Restored(usize),
}

/// `CallResults` are what a request has seen: the result of each call, and of all state at the end.
#[derive(Debug, PartialEq)]
struct CallResults(Vec<Result<Option<Val>, Trapped>>);

/// `Trapped` says how a call trapped.
#[derive(Debug, PartialEq)]
struct Trapped(Option<Trap>);

impl CallResults {
    fn has_trapped(&self) -> bool {
        self.0.iter().any(Result::is_err)
    }
}

/// Compares, and panics where a restored instance is not as a fresh one.
pub fn compare(bytes: &[u8]) -> ComparisonResult {
    let mut u = Unstructured::new(bytes);
    let Ok(case) = Case::arbitrary(&mut u) else {
        return ComparisonResult::Nothing;
    };
    // Both ways for memories to end.
    let size = if u.arbitrary().unwrap_or(false) {
        0
    } else {
        usize::MAX
    };
    let world = if case.concurrent {
        World::P3
    } else {
        World::P2
    };
    let plain = Target::new(world, case.concurrent);
    let restored = match Restored::new(plain.restorable(size), &case) {
        Ok(restored) => restored,
        Err(error) => return ComparisonResult::MadeAnew(format!("{error:#}")),
    };
    let fresh = Fresh::new(plain, &case);
    restored.compare(&case, &case.requests, |calls| fresh.ask(calls));
    let mut count = case.requests.len();
    if let Some((first, others)) = case.requests.split_first()
        && let Some(primed) = restored.primed(first)
    {
        primed.compare(&case, others, |calls| restored.ask_after(first, calls));
        count += others.len();
    }
    ComparisonResult::Restored(count)
}

impl Restored {
    /// Compares instances that are restored between these requests with what is expected of each.
    fn compare(
        &self,
        case: &Case,
        requests: &[Vec<Call>],
        expect: impl Fn(&[Call]) -> CallResults,
    ) {
        let mut kept = None;
        for (number, calls) in requests.iter().enumerate() {
            let expected = expect(calls);
            let mut instance = match kept.take() {
                Some(instance) => self.restore(instance, number),
                None => self.make(),
            };
            let seen = self.ask(&mut instance, calls);
            let handles = handles(&mut instance.store);
            assert_eq!(
                expected, seen,
                "request {number} of {:?}, on the left by a fresh instance",
                case.requests
            );
            // As the server has it: one that trapped is dropped, and one that still has handles.
            instance.handles = handles.unwrap_or_default();
            kept = Some(instance).filter(|_| !seen.has_trapped() && handles.is_some());
        }
    }

    fn ask(&self, instance: &mut ReusedInstance, calls: &[Call]) -> CallResults {
        ask(&mut instance.store, &instance.instance, calls, &self.probes)
    }

    /// Has one instance answer a request, and begins all others with what is in it then; `None` where it is not kept.
    fn primed(&self, calls: &[Call]) -> Option<Restored> {
        let mut instance = self.make();
        let before = now(instance.reset_handle.globals(&mut instance.store));
        let before = before.expect("globals can be read");
        if self.ask(&mut instance, calls).has_trapped() {
            return None;
        }
        handles(&mut instance.store)?;
        let mut snapshot = empty_file("wasmserve snapshot").expect("a file in memory");
        let ReusedInstance {
            store,
            reset_handle,
            ..
        } = &mut instance;
        let rest = Rest {
            open: &[],
            start: &[],
        };
        now(reset_handle.prime(store, &before, rest, &mut snapshot)).expect("a snapshot");
        let restorer = Restorer::open(&self.code, Some(&snapshot.into()));
        let restorer = restorer.expect("a snapshot").expect("what is restored");
        restorer.settle();
        Some(Restored {
            pre: self.pre.clone(),
            restorer,
            code: self.code.try_clone().expect("a descriptor"),
            probes: self.probes.clone(),
        })
    }

    /// Asks one instance for these calls after those, which nothing else happens between than that the numbers of
    /// handles are put in order.
    fn ask_after(&self, first: &[Call], calls: &[Call]) -> CallResults {
        let mut instance = self.make();
        self.ask(&mut instance, first);
        let handles = handles(&mut instance.store).expect("none is left, as before");
        let ReusedInstance {
            store,
            reset_handle,
            ..
        } = &mut instance;
        let ordered = reset_handle.reset_handle_numbers(store, handles, false);
        ordered.expect("handles are put in order");
        *store.data_mut() = Host::default();
        self.ask(&mut instance, calls)
    }
}

/// Counts the handles that a request has had at a time, where nothing of it is left.
fn handles(store: &mut Store<Host>) -> Option<u32> {
    let idle = is_idle(store);
    let handles = handles_in_use(&mut store.data_mut().0, 0);
    let places = order_places(store).ok();
    Some(handles? + places?).filter(|_| idle)
}

/// Resolves a future at once. None waits for long: there is no host, and a collector of garbage only pauses.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    for _ in 0..1_000_000 {
        if let Poll::Ready(value) = future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            return value;
        }
    }
    panic!("a guest without a host waits for something")
}

/// A `Host` is what the host keeps for an instance.
#[derive(Default)]
struct Host(ResourceTable);

/// A `Thing` is a resource of the host's.
struct Thing;

/// Links a component, which may import what makes handles.
fn linked(component: &Component) -> wasmtime::Result<InstancePre<Host>> {
    let mut linker = Linker::<Host>::new(component.engine());
    let mut host = linker.instance(HOST)?;
    host.resource("r", ResourceType::host::<Thing>(), |mut store, number| {
        let thing = Resource::<Thing>::new_own(number);
        store.data_mut().0.delete(thing).map(drop)?;
        Ok(())
    })?;
    host.func_wrap("make", |mut store, (_,): (u32,)| {
        Ok((store.data_mut().0.push(Thing)?,))
    })?;
    linker.instantiate_pre(component)
}

fn store(engine: &Engine) -> Store<Host> {
    let mut store = Store::new(engine, Host::default());
    store.set_epoch_deadline(u64::MAX >> 1);
    store
}

fn ask(
    store: &mut Store<Host>,
    instance: &Instance,
    calls: &[Call],
    probes: &[String],
) -> CallResults {
    let mut seen = Vec::new();
    for Call {
        function,
        arguments,
        returns,
    } in calls
    {
        seen.push(call(store, instance, function, arguments, *returns));
    }
    for probe in probes {
        if seen.iter().all(Result::is_ok) {
            seen.push(call(store, instance, probe, &[], true));
        }
    }
    CallResults(seen)
}

fn call(
    store: &mut Store<Host>,
    instance: &Instance,
    function: &str,
    arguments: &[Val],
    returns: bool,
) -> Result<Option<Val>, Trapped> {
    let function = instance.get_func(&mut *store, function).expect("an export");
    let mut results = vec![Val::Bool(false); usize::from(returns)];
    now(function.call_async(store, arguments, &mut results))
        .map_err(|error| Trapped(error.downcast_ref::<Trap>().copied()))?;
    // Bits, so that what is no number is equal to itself.
    Ok(results.pop().map(|value| match value {
        Val::Float32(value) => Val::U32(value.to_bits()),
        Val::Float64(value) => Val::U64(value.to_bits()),
        value => value,
    }))
}

struct Fresh<'a>(InstancePre<Host>, &'a Case);

impl Fresh<'_> {
    fn new(target: Target, case: &Case) -> Fresh<'_> {
        let engine = engine::compiling(target).expect("an engine");
        let component = Component::new(&engine, &case.component);
        let component = component.expect("what is restored compiles");
        Fresh(linked(&component).expect("it imports what there is"), case)
    }

    fn ask(&self, calls: &[Call]) -> CallResults {
        let mut store = store(self.0.engine());
        let instance = now(self.0.instantiate_async(&mut store)).expect("a fresh instance");
        ask(&mut store, &instance, calls, &self.1.probes)
    }
}

struct Restored {
    pre: InstancePre<Host>,
    restorer: Arc<Restorer>,
    code: File,
    probes: Vec<String>,
}

struct ReusedInstance {
    store: Store<Host>,
    instance: Instance,
    reset_handle: ResetHandle,
    /// The last request had this many handles at a time.
    handles: u32,
}

impl Restored {
    fn new(target: Target, case: &Case) -> anyhow::Result<Restored> {
        let mut code = empty_file("wasmserve code")?;
        compile(
            target,
            case.effort,
            &case.component,
            u64::MAX,
            None,
            &mut code,
        )?;
        seal::close(&mut code, NAME)?;
        let engine = engine::compiling(target)?;
        let component = code::component(&engine, &code)?;
        let restorer = Restorer::open(&code, None)?.expect("a snapshot beside the code");
        restorer.settle();
        let pre = linked(&component)?;
        Ok(Restored {
            pre,
            restorer,
            code,
            probes: case.probes.clone(),
        })
    }

    fn make(&self) -> ReusedInstance {
        let mut store = store(self.pre.engine());
        let made = now(self.restorer.instance(&self.pre, &mut store));
        let (instance, reset_handle) = made.expect("an instance as the snapshot has it");
        now(reset_handle.restore(&mut store)).expect("globals are those of the snapshot");
        ReusedInstance {
            store,
            instance,
            reset_handle,
            handles: 0,
        }
    }

    fn restore(&self, mut kept: ReusedInstance, number: usize) -> ReusedInstance {
        kept.reset_handle.overwrite(&mut kept.store);
        match number % 3 {
            0 => kept.reset_handle.release_memory(&mut kept.store),
            _ => kept.reset_handle.reset(&mut kept.store),
        }
        .expect("memories are put back");
        let ordered = kept
            .reset_handle
            .reset_handle_numbers(&mut kept.store, kept.handles, false);
        ordered.expect("handles are put in order");
        *kept.store.data_mut() = Host::default();
        now(kept.reset_handle.restore(&mut kept.store)).expect("globals are put back");
        kept
    }
}
