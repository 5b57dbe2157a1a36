//! These tests compare instances that put the numbers of their handles in order themselves, at the end of each request,
//! with fresh ones: what a guest is told of numbers is the same.

use super::{NAME, Thing, compile, now};
use crate::cache::seal;
use crate::guest::component::info::World;
use crate::guest::component::target::Target;
use crate::guest::engine::{self, Effort, code};
use crate::guest::snapshot::{ResetHandle, Restorer, handles_in_use, is_idle, order_places};
use crate::sys::memory::empty_file;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::fs::File;
use std::sync::Arc;
use wasmtime::component::{
    Component, Instance, InstancePre, Linker, Resource, ResourceTable, ResourceType, Val,
};
use wasmtime::{Engine, Store, Trap};

/// Handlers of either version do what the host tells them, one thing after the other, and say the numbers that they are
/// given. The later version has two parts: it answers at the end of the first.
const COMPONENT: &str = r#"(component
    (import "host" (instance $host
      (export "r" (type $r (sub resource)))
      (export "make" (func (result (own $r))))
      (export "next" (func (result u32)))
      (export "say" (func (param "number" u32)))))
    (alias export $host "r" (type $r))
    (core func $make (canon lower (func $host "make")))
    (core func $next (canon lower (func $host "next")))
    (core func $say (canon lower (func $host "say")))
    (core func $drop (canon resource.drop $r))
    TYPES
    (core module $m
      (import "" "make" (func $make (result i32)))
      (import "" "next" (func $next (result i32)))
      (import "" "say" (func $say (param i32)))
      (import "" "drop" (func $drop (param i32)))
      IMPORTS
      (memory 1)
      (func $run (result i32) (local $next i32)
        (loop $more
          (local.set $next (call $next))
          (if (i32.eqz (local.get $next)) (then (return (i32.const 0))))
          (if (i32.eq (local.get $next) (i32.const 2))
            (then (call $return (i32.const 0) (call $make)) (return (i32.const 1))))
          (if (i32.eq (local.get $next) (i32.const 1))
            (then (call $say (call $make)))
            (else (call $drop (i32.sub (local.get $next) (i32.const 1000)))))
          (br $more))
        unreachable)
      FUNCTIONS)
    (core instance $m (instantiate $m (with "" (instance
      (export "make" (func $make)) (export "next" (func $next)) (export "say" (func $say))
      (export "drop" (func $drop)) INSTANCES))))
    LIFT)"#;

/// The host tells a guest to end, to make a handle, to answer, or to drop the handle of a number behind this one.
const END: u32 = 0;
const MAKE: u32 = 1;
const ANSWER: u32 = 2;
const DROP: u32 = 1000;

fn component(world: World) -> Vec<u8> {
    let parts = match world {
        World::P2 => [
            ("TYPES", ""),
            ("IMPORTS", "(func $return (param i32 i32) unreachable)"),
            ("INSTANCES", ""),
            (
                "FUNCTIONS",
                r#"(func (export "handle") (param i32 i32)
                     (call $say (local.get 0)) (call $say (local.get 1)) (drop (call $run)))"#,
            ),
            (
                "LIFT",
                r#"(func (export "handle") (param "a" (own $r)) (param "b" (own $r))
                     (canon lift (core func $m "handle")))"#,
            ),
        ],
        World::P3 => [
            (
                "TYPES",
                r#"(type $answer (result (own $r) (error u32)))
                   (core func $return (canon task.return (result $answer)))"#,
            ),
            (
                "IMPORTS",
                r#"(import "" "return" (func $return (param i32 i32)))"#,
            ),
            ("INSTANCES", r#"(export "return" (func $return))"#),
            (
                "FUNCTIONS",
                r#"(func (export "handle") (param i32) (result i32)
                     (call $say (local.get 0)) (call $run))
                   (func (export "called") (param i32 i32 i32) (result i32) (call $run))"#,
            ),
            (
                "LIFT",
                r#"(func (export "handle") async (param "a" (own $r)) (result $answer)
                     (canon lift (core func $m "handle") async (callback (core func $m "called"))))"#,
            ),
        ],
    };
    let mut text = COMPONENT.to_owned();
    for (name, part) in parts {
        text = text.replace(name, part);
    }
    wat::parse_str(text).unwrap()
}

/// The `Script` tells a guest what to do for one request, and hears what it is told.
struct Script {
    table: ResourceTable,
    random: StdRng,
    /// There is so much to do before the guest answers or ends.
    left: u32,
    has_answered: bool,
    /// The guest has these handles.
    live: Vec<u32>,
    said: Vec<u32>,
    /// The guest ends without giving up its handles.
    leaves: bool,
}

impl Script {
    fn new(world: World, seed: u64) -> Script {
        let mut random = StdRng::seed_from_u64(seed);
        Script {
            table: ResourceTable::new(),
            left: random.random_range(0..40),
            random,
            has_answered: world == World::P2,
            live: Vec::new(),
            said: Vec::new(),
            leaves: false,
        }
    }

    fn next(&mut self) -> u32 {
        if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            if self.live.is_empty() || self.random.random_ratio(11, 20) {
                return MAKE;
            }
            let number = self.random.random_range(0..self.live.len());
            return DROP + self.live.swap_remove(number);
        }
        if !self.has_answered {
            self.has_answered = true;
            self.left = self.random.random_range(0..10);
            return ANSWER;
        }
        match self.live.pop() {
            Some(number) if !self.leaves => DROP + number,
            left => {
                self.live.extend(left);
                END
            }
        }
    }
}

fn linked(component: &Component) -> InstancePre<Script> {
    let mut linker = Linker::<Script>::new(component.engine());
    let mut host = linker.instance("host").unwrap();
    let ty = ResourceType::host::<Thing>();
    host.resource("r", ty, |mut store, number| {
        let thing = Resource::<Thing>::new_own(number);
        Ok(store.data_mut().table.delete(thing).map(drop)?)
    })
    .unwrap();
    host.func_wrap("make", |mut store, (): ()| {
        Ok((store.data_mut().table.push(Thing)?,))
    })
    .unwrap();
    host.func_wrap("next", |mut store, (): ()| Ok((store.data_mut().next(),)))
        .unwrap();
    host.func_wrap("say", |mut store, (number,): (u32,)| {
        store.data_mut().said.push(number);
        store.data_mut().live.push(number);
        Ok(())
    })
    .unwrap();
    linker.instantiate_pre(component).unwrap()
}

/// Has an instance answer a request by this function, to its end.
fn ask(
    store: &mut Store<Script>,
    instance: Instance,
    name: &str,
    world: World,
) -> wasmtime::Result<()> {
    let function = instance.get_func(&mut *store, name).expect("an export");
    let count = if world == World::P2 { 2 } else { 1 };
    let mut arguments = Vec::new();
    for _ in 0..count {
        let thing = store.data_mut().table.push(Thing)?;
        let thing = thing.try_into_resource_any(&mut *store)?;
        arguments.push(Val::Resource(thing));
    }
    let mut results = vec![Val::Bool(false); 2 - count];
    now(function.call_async(&mut *store, &arguments, &mut results))?;
    if let Some(Val::Result(Ok(Some(answer)))) = results.pop() {
        let Val::Resource(answer) = *answer else {
            panic!("it answers with a resource");
        };
        now(answer.resource_drop_async(&mut *store))?;
        now(store.run_concurrent(async |accessor| {
            std::future::poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await;
        }))?;
    }
    Ok(())
}

fn store(engine: &Engine, script: Script) -> Store<Script> {
    let mut store = Store::new(engine, script);
    store.set_epoch_deadline(u64::MAX >> 1);
    store
}

struct Compared {
    world: World,
    fresh: InstancePre<Script>,
    restored: InstancePre<Script>,
    restorer: Arc<Restorer>,
    _code: File,
}

impl Compared {
    fn new(world: World) -> Compared {
        let target = Target::new(world, world == World::P3);
        let binary = component(world);
        let engine = engine::compiling(target).unwrap();
        let fresh = linked(&Component::new(&engine, &binary).unwrap());
        let target = target.restorable(usize::MAX);
        let mut code = empty_file("wasmserve code").unwrap();
        compile(target, Effort::Full, &binary, u64::MAX, None, &mut code).unwrap();
        seal::close(&mut code, NAME).unwrap();
        let engine = engine::compiling(target).unwrap();
        let restored = linked(&code::component(&engine, &code).unwrap());
        let restorer = Restorer::open(&code, None).unwrap().unwrap();
        restorer.settle();
        Compared {
            world,
            fresh,
            restored,
            restorer,
            _code: code,
        }
    }

    /// Returns what a fresh instance is told.
    fn expected(&self, seed: u64) -> Vec<u32> {
        let mut store = store(self.fresh.engine(), Script::new(self.world, seed));
        let instance = now(self.fresh.instantiate_async(&mut store)).unwrap();
        ask(&mut store, instance, "handle", self.world).unwrap();
        store.into_data().said
    }

    fn make(&self) -> (Store<Script>, Instance, ResetHandle) {
        let mut store = store(self.restored.engine(), Script::new(self.world, 0));
        let made = now(self.restorer.instance(&self.restored, &mut store));
        let (instance, reset_handle) = made.unwrap();
        (store, instance, reset_handle)
    }

    fn answer(
        &self,
        store: &mut Store<Script>,
        instance: Instance,
        script: Script,
    ) -> wasmtime::Result<()> {
        *store.data_mut() = script;
        ask(store, instance, "wasmserve-handle-in-order", self.world)
    }
}

/// Counts the handles that there have been at a time, where none is left.
fn handles(store: &mut Store<Script>) -> Option<u32> {
    let is_idle = is_idle(store);
    let handles = handles_in_use(&mut store.data_mut().table, 0)?;
    let places = order_places(store).ok()?;
    is_idle.then_some(handles + places)
}

const WORLDS: [World; 2] = [World::P2, World::P3];

/// Guards against numbers that tell what the request before has done with its handles.
#[test]
fn numbers_are_those_of_a_fresh_instance_where_no_call_puts_them_in_order() {
    for world in WORLDS {
        let compared = Compared::new(world);
        let (mut store, instance, mut reset_handle) = compared.make();
        let mut spared = 0;
        for seed in 0..200 {
            let script = Script::new(world, seed);
            compared.answer(&mut store, instance, script).unwrap();
            let said = std::mem::take(&mut store.data_mut().said);
            assert_eq!(said, compared.expected(seed), "{world:?}, request {seed}");
            let count = handles(&mut store).expect("nothing is left");
            spared += u32::from(count <= reset_handle.kept_in_order());
            reset_handle.reset(&mut store).unwrap();
            reset_handle
                .reset_handle_numbers(&mut store, count, true)
                .unwrap();
        }
        // Only those that have had more handles than any before, or very many, need a call.
        assert!(spared > 150, "{world:?}: {spared}");
    }
}

/// Guards against an instance that answers although a handle of the last request is in its table.
#[test]
fn an_instance_whose_numbers_are_not_in_order_answers_nothing() {
    for world in WORLDS {
        let compared = Compared::new(world);
        let (mut store, instance, mut reset_handle) = compared.make();
        for seed in 0..20 {
            let script = Script::new(world, seed);
            compared.answer(&mut store, instance, script).unwrap();
            let count = handles(&mut store).unwrap();
            let ordered = reset_handle.reset_handle_numbers(&mut store, count, true);
            ordered.unwrap();
        }
        let mut script = Script::new(world, 3);
        script.leaves = true;
        compared.answer(&mut store, instance, script).unwrap();
        assert!(!store.data().live.is_empty());
        assert_eq!(handles(&mut store), None);
        let script = Script::new(world, 4);
        let error = compared.answer(&mut store, instance, script).unwrap_err();
        let trap = error.downcast_ref::<Trap>();
        assert_eq!(trap, Some(&Trap::UnreachableCodeReached), "{error:?}");
        assert!(store.data().said.is_empty());
    }
}
