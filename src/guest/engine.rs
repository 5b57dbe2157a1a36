//! How the engine is set up: what is compiled into the code, and the pool that instances come from.
//! Decides sizes; knows nothing of requests.

use super::anatomy::World;
use super::rewind::{FEATURES, Memories};
use super::shelf::Reuse;
use crate::sys::memory;
use anyhow::{Context, Result, bail, ensure};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use wasmtime::component::Component;
use wasmtime::{
    Config, Enabled, Engine, Inlining, InstanceAllocationStrategy, PoolingAllocationConfig,
    WasmFeatures,
};

/// What the generated code depends on. Code compiled for one target is refused by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    pub world: World,
    /// Support for the component model's async in the engine.
    pub concurrent: bool,
    /// Its instances can be put back as they were when they were made.
    pub rewind: Rewind,
}

/// Whether instances can be put back as they were when they were made, and how their memories end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rewind {
    No,
    /// The code looks where a memory ends before it uses it, so that memories grow and shrink without the
    /// kernel: for short work.
    Checked,
    /// The kernel does: for large components, whose work is rather in what they compute.
    Fenced,
}

impl Target {
    /// What components ask for.
    pub const MADE: [Target; 3] = [
        Target::new(World::P2, false),
        Target::new(World::P3, true),
        Target::new(World::P2, true),
    ];

    /// Every target there is, in the order in which code of unknown target is tried.
    pub const ALL: [Target; 5] = [
        Target::new(World::P3, true),
        Target::new(World::P2, true),
        Target::new(World::P2, false),
        Target::new(World::P2, false).rewinding(0),
        Target::new(World::P2, false).rewinding(LARGE),
    ];

    pub const fn new(world: World, concurrent: bool) -> Target {
        Target {
            world,
            concurrent,
            rewind: Rewind::No,
        }
    }

    /// The same with instances that can be put back, for a component of so many bytes.
    pub const fn rewinding(self, size: usize) -> Target {
        let rewind = match size < LARGE {
            true => Rewind::Checked,
            false => Rewind::Fenced,
        };
        Target { rewind, ..self }
    }

    pub fn rewinds(self) -> bool {
        self.rewind != Rewind::No
    }
}

/// What a worker has to know of the code before it can map it: found once, by the compiler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    pub target: Target,
    needs: Needs,
}

/// What instances may take, for each of them and together.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Instances alive at a time in one worker.
    pub instances: u32,
    /// Bytes of one instance: its memories, its tables, and what the host holds for it.
    pub memory: u64,
    /// Bytes of all instances of one worker.
    pub worker_memory: u64,
    /// How long a request waits for some of them.
    pub patience: Duration,
    /// Processor time that a request may burn.
    pub cpu: Duration,
    pub reuse: Reuse,
}

/// What a guest may hand to the host in one call, where it has memory for more.
const CALL: u64 = 128 << 20;

impl Limits {
    /// Bytes that a guest may hand to the host in one call: it has them too, and both count.
    pub fn each_call(&self) -> usize {
        usize::try_from(CALL.min(self.memory / 2)).unwrap_or(usize::MAX)
    }

    /// Says so where an instance may not even begin, with so many bytes of memory.
    pub fn admit(&self, memory: u64) -> Result<()> {
        let may = self.memory;
        ensure!(
            memory <= may,
            "an instance starts with {memory} bytes of memory and may have {may}; raise --max-memory"
        );
        Ok(())
    }
}

/// Bytes from which on a component is large: it has an interpreter inside.
const LARGE: usize = 4 << 20;

/// What one instance of a component needs from the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Needs {
    memories: u32,
    /// Bytes that the largest memory starts with.
    initial_memory: u64,
    tables: u32,
    table_elements: u64,
}

/// Native stack of one guest task, of which Wasm may use [`WASM_STACK`].
const ASYNC_STACK: usize = 2 << 20;
const WASM_STACK: usize = 1 << 20;

/// Bytes of each memory, table and stack that stay mapped between two instances: resetting them by
/// hand is cheaper than giving the pages back and faulting them in again. Fewer where a worker may have little.
const KEEP_RESIDENT: usize = 1 << 20;

/// Memories and tables that the engine keeps so, of instances that are not in use.
const KEPT: u64 = 200;
const STACK_KEEP_RESIDENT: usize = 64 << 10;

const WASM_PAGE: u64 = 64 << 10;

/// Tables may grow to this many elements at least (dynamic linking inside a guest does).
const TABLE_ELEMENTS: u64 = 10_000;

/// The heap of garbage-collected objects and exceptions takes a memory's place in the pool, which
/// `Component::resources_required` does not count. Only addresses are reserved for it.
const GC_HEAPS: u32 = 1;

/// Guest tasks that a 0.3 instance may run side by side, each on a stack of its own.
const STACKS_PER_INSTANCE: u32 = 4;

/// Everything that changes the generated code is set here, and nowhere else.
fn base(target: Target) -> Config {
    let mut config = Config::new();
    config
        .concurrency_support(target.concurrent)
        .epoch_interruption(true)
        // Components that are linked of many modules call from one to the other all the time.
        .compiler_inlining(Inlining::InterModule)
        .async_stack_size(ASYNC_STACK)
        .max_wasm_stack(WASM_STACK)
        .wasm_backtrace_max_frames(std::num::NonZero::new(32));
    if target.rewinds() {
        // What the survey does not know cannot be compiled either. Without garbage collection no heap of its
        // objects comes from `Memories`, which would restore it behind the collector's back.
        config.wasm_features(WasmFeatures::all().difference(FEATURES), false);
        // Their images are ours.
        config
            .memory_init_cow(false)
            .with_host_memory(Memories::new(usize::MAX >> 1));
    }
    if target.rewind == Rewind::Checked {
        config
            .memory_reservation(0)
            .memory_guard_size(0)
            .memory_may_move(false);
    }
    config
}

/// An engine that compiles, and that instantiates only to check.
pub fn compiling(target: Target) -> Result<Engine> {
    let mut config = base(target);
    config.parallel_compilation(true);
    Ok(Engine::new(&config)?)
}

/// An engine that serves: instances come from a pool sized for the component that was planned for, or are put
/// back again and again.
pub fn serving(plan: Plan, limits: Limits) -> Result<Engine> {
    let needs = plan.needs;
    limits.admit(needs.initial_memory)?;
    if plan.target.rewinds() {
        return rewinding(plan.target, limits);
    }
    let mut config = base(plan.target);
    let pool = pool(needs, limits)?;
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config)
        .map_err(anyhow::Error::from)
        .with_context(|| {
            format!(
                "cannot reserve address space for {} instances; lower --limit-concurrency or raise \
             `ulimit -v`",
                limits.instances
            )
        })
}

/// The same for code whose instances are put back.
pub fn rewinding(target: Target, limits: Limits) -> Result<Engine> {
    let most = usize::try_from(limits.memory).unwrap_or(usize::MAX >> 1);
    let mut config = base(target);
    config.with_host_memory(Memories::new(most));
    Ok(Engine::new(&config)?)
}

fn pool(needs: Needs, limits: Limits) -> Result<PoolingAllocationConfig> {
    // The engine takes pages that were swapped out for clean: looking for dirty ones would leave them as they are.
    let scan = match memory::may_swap() {
        true => Enabled::No,
        false => Enabled::Auto,
    };
    let share = usize::try_from(limits.worker_memory / 4 / KEPT).unwrap_or(usize::MAX);
    let keep = KEEP_RESIDENT.min(share);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(limits.instances)
        .total_core_instances(u32::MAX)
        .max_core_instances_per_component(u32::MAX)
        .max_component_instance_size(usize::MAX >> 1)
        .max_core_instance_size(usize::MAX >> 1)
        .max_memories_per_component(needs.memories)
        .max_memories_per_module(needs.memories)
        .max_tables_per_component(needs.tables)
        .max_tables_per_module(needs.tables)
        .total_memories(
            limits
                .instances
                .saturating_mul(needs.memories.saturating_add(GC_HEAPS)),
        )
        .total_tables(limits.instances.saturating_mul(needs.tables))
        .total_stacks(limits.instances.saturating_mul(STACKS_PER_INSTANCE))
        .total_gc_heaps(limits.instances)
        .table_elements(usize::try_from(needs.table_elements)?)
        .max_memory_size(usize::try_from(limits.memory.min(1 << 32))?)
        .linear_memory_keep_resident(keep)
        .table_keep_resident(keep)
        .async_stack_keep_resident(STACK_KEEP_RESIDENT)
        .pagemap_scan(scan);
    Ok(pool)
}

impl Plan {
    /// Plans for `component`, whatever engine it was made for.
    pub fn of(target: Target, component: &Component) -> Plan {
        let required = component.resources_required();
        let required = required.as_ref();
        let pages = required
            .and_then(|r| r.max_initial_memory_size)
            .unwrap_or(0);
        let elements = required.and_then(|r| r.max_initial_table_size).unwrap_or(0);
        Plan {
            target,
            needs: Needs {
                memories: required.map_or(1, |r| r.num_memories).max(1),
                initial_memory: pages.saturating_mul(WASM_PAGE),
                tables: required.map_or(1, |r| r.num_tables).max(1),
                table_elements: elements.saturating_mul(2).max(TABLE_ELEMENTS),
            },
        }
    }
}

impl Plan {
    /// Whether there is much to load, which those who serve had better share.
    pub fn is_large(self) -> bool {
        self.target.rewind == Rewind::Fenced
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { target, needs } = self;
        let generation = match target.world {
            World::P2 => 2,
            World::P3 => 3,
        };
        write!(
            f,
            "{generation} {} {} {} {} {} {}",
            u8::from(target.concurrent),
            target.rewind as u8,
            needs.memories,
            needs.initial_memory,
            needs.tables,
            needs.table_elements
        )
    }
}

impl FromStr for Plan {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Plan> {
        let numbers: Vec<u64> = text.split(' ').map(str::parse).collect::<Result<_, _>>()?;
        let [
            generation,
            concurrent,
            rewind,
            memories,
            initial_memory,
            tables,
            table_elements,
        ] = numbers[..]
        else {
            bail!("not a plan: `{text}`");
        };
        Ok(Plan {
            target: Target {
                world: if generation == 3 {
                    World::P3
                } else {
                    World::P2
                },
                concurrent: concurrent == 1,
                rewind: match rewind {
                    0 => Rewind::No,
                    1 => Rewind::Checked,
                    _ => Rewind::Fenced,
                },
            },
            needs: Needs {
                memories: u32::try_from(memories)?,
                initial_memory,
                tables: u32::try_from(tables)?,
                table_elements,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_survives_the_way_through_the_supervisor() {
        let plan = Plan {
            target: Target::new(World::P3, true),
            needs: Needs {
                memories: 2,
                initial_memory: 1 << 17,
                tables: 3,
                table_elements: 20_000,
            },
        };
        assert_eq!(plan.to_string().parse::<Plan>().unwrap(), plan);
        assert!("2 0 1".parse::<Plan>().is_err());
    }
}
