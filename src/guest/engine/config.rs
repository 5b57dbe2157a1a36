//! This file configures the engine: how code is compiled, and how large the pool is that instances come from. It
//! knows nothing of requests.

use super::code_info::CodeInfo;
use crate::channel::Needs;
use crate::guest::component::target::{Restore, Target};
use crate::guest::limits::GuestLimits;
use crate::guest::snapshot::{FEATURES, Memories};
use crate::sys::{limits, memory};
use anyhow::{Context, Result};
use std::error::Error;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use wasmtime::{
    Config, Enabled, Engine, Inlining, InstanceAllocationStrategy, OptLevel,
    PoolingAllocationConfig, RegallocAlgorithm, WasmFeatures,
};

/// A guest task has this much native stack beside what its code may use: the host's functions run there.
const HOST_STACK: usize = 1 << 20;

/// This many bytes of each memory, table and stack stay mapped between two instances: resetting them by hand is cheaper
/// than giving the pages back and faulting them in again. A worker with little memory keeps fewer.
const KEEP_RESIDENT: usize = 1 << 20;

/// The engine keeps the pages of this many memories and tables that are not in use.
const KEPT: u64 = 200;
const STACK_KEEP_RESIDENT: usize = 64 << 10;

/// An instance's garbage-collected heap takes a memory's place in the pool, which `Component::resources_required`
/// does not count. Only addresses are reserved for it.
const GC_HEAPS: u32 = 1;

/// A 0.3 instance may run this many guest tasks side by side, each on a stack of its own.
const STACKS_PER_INSTANCE: u32 = 4;

/// `Processors` says which processors the code runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Processors {
    LikeThisOne,
    /// The code runs on every processor of this architecture.
    All,
}

/// `Effort` says how much is done for code that is fast. Code of either kind is mapped by the same engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    Full,
    /// The code is there in half the time. It is twice as large, and slower.
    Little,
}

impl Effort {
    /// The code of a component for this target may use so many bytes of native stack. A thousand calls one in the other,
    /// which is as many as CPython lets a program make, take over one MiB where they go through functions in C, and
    /// three through such in Rust; what is small has no interpreter. What was made with little effort keeps more there.
    fn stack(self, target: Target) -> usize {
        match (self, target.inlining) {
            (Effort::Full, true) => 1 << 20,
            (Effort::Full, false) => 4 << 20,
            (Effort::Little, _) => 8 << 20,
        }
    }

    /// Code that was made with one of these efforts is as good as what this one makes, the best first.
    pub fn or_better(self) -> &'static [Effort] {
        match self {
            Effort::Full => &[Effort::Full],
            Effort::Little => &[Effort::Full, Effort::Little],
        }
    }
}

/// Says whether code is made for every processor of this architecture.
static FOR_ALL: AtomicBool = AtomicBool::new(false);

/// Decides which processors run the code that this process compiles. To be called before the first engine is made.
pub fn compile_for(processors: Processors) {
    FOR_ALL.store(processors == Processors::All, Relaxed);
}

/// The engine has this name for what this program is built for.
#[cfg(target_arch = "x86_64")]
const TARGET: &str = "x86_64-unknown-linux-gnu";
#[cfg(target_arch = "aarch64")]
const TARGET: &str = "aarch64-unknown-linux-gnu";

/// Sets everything that changes the generated code but for the effort; nothing else may set any of it.
fn base(target: Target) -> Result<Config> {
    let mut config = Config::new();
    if FOR_ALL.load(Relaxed) {
        // A target that is named has none of the features that this machine's processor may have.
        config.target(TARGET)?;
    }
    config
        .concurrency_support(target.concurrent)
        .epoch_interruption(true)
        .compiler_inlining(match target.inlining {
            true => Inlining::InterModule,
            false => Inlining::No,
        })
        .wasm_backtrace_max_frames(std::num::NonZero::new(32));
    if target.restores() {
        // What the scan does not know cannot be compiled either. Without garbage collection no heap of its
        // objects comes from `Memories`, which would restore it behind the collector's back.
        config.wasm_features(WasmFeatures::all().difference(FEATURES), false);
        // Their images are ours.
        config
            .memory_init_cow(false)
            .with_host_memory(Memories::new(usize::MAX >> 1));
    }
    if target.restore == Restore::Checked {
        config
            .memory_reservation(0)
            .memory_guard_size(0)
            .memory_may_move(false);
    }
    Ok(config)
}

/// Makes an engine that maps code to look at it, and that instantiates only to check.
pub fn compiling(target: Target) -> Result<Engine> {
    compiling_with(target, Effort::Full)
}

/// Makes an engine that compiles with this effort.
pub fn compiling_with(target: Target, effort: Effort) -> Result<Engine> {
    Ok(Engine::new(&compiler(target, effort)?)?)
}

/// It starts no threads for what is compiled on the way, such as stand-ins for imports.
fn compiler(target: Target, effort: Effort) -> Result<Config> {
    let mut config = base(target)?;
    stack(&mut config, effort.stack(target));
    config.parallel_compilation(false);
    if effort == Effort::Little {
        config
            .cranelift_opt_level(OptLevel::None)
            .cranelift_regalloc_algorithm(RegallocAlgorithm::SinglePass);
    }
    Ok(config)
}

fn stack(config: &mut Config, bytes: usize) {
    config
        .max_wasm_stack(bytes)
        .async_stack_size(bytes + HOST_STACK);
}

/// This many processors compile at a time, at most: each of them takes some 10 MiB.
const COMPILING: usize = 8;

/// `NoThreads` says that nothing can be compiled here, whatever the component is.
#[derive(Debug)]
pub struct NoThreads(String);

impl std::fmt::Display for NoThreads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot start the threads that compile: {}", self.0)
    }
}

impl Error for NoThreads {}

/// Compiles a component. It starts threads: a process that has done it must not fork.
pub fn compile(target: Target, effort: Effort, binary: &[u8]) -> Result<Vec<u8>> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = rayon::ThreadPoolBuilder::new().num_threads(processors.min(COMPILING));
    let mut config = compiler(target, effort)?;
    let engine = Engine::new(config.parallel_compilation(true))?;
    let threads = threads.build().map_err(|error| {
        let of_system = error.source().and_then(|it| it.downcast_ref::<io::Error>());
        let number = of_system.and_then(io::Error::raw_os_error);
        NoThreads(match number {
            Some(number) => limits::explained(io::Error::from_raw_os_error(number)).to_string(),
            None => error.to_string(),
        })
    })?;
    Ok(threads.install(|| engine.precompile_component(binary))?)
}

/// Makes an engine that serves: instances come from a pool whose size the `CodeInfo` decides, or are restored again and
/// again.
pub fn serving(info: CodeInfo, limits: GuestLimits) -> Result<Engine> {
    let needs = info.needs;
    limits.admit(needs.initial_memory)?;
    if info.target.restores() {
        return restorable(info.target, limits);
    }
    let mut config = base(info.target)?;
    config.coredump_on_trap(limits.core_dumps);
    stack(&mut config, limits.effort.stack(info.target));
    let pool = pool(needs, info.instances(limits), limits)?;
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config)
        .map_err(anyhow::Error::from)
        .with_context(|| {
            format!(
                "cannot reserve address space for {} instances; lower --limit-concurrency or raise \
             `ulimit -v`",
                info.instances(limits)
            )
        })
}

/// Makes an engine that serves code whose instances are restored.
pub fn restorable(target: Target, limits: GuestLimits) -> Result<Engine> {
    let most = usize::try_from(limits.memory).unwrap_or(usize::MAX >> 1);
    let mut config = base(target)?;
    stack(&mut config, limits.effort.stack(target));
    config
        .with_host_memory(Memories::new(most))
        .coredump_on_trap(limits.core_dumps);
    Ok(Engine::new(&config)?)
}

fn pool(needs: Needs, instances: u32, limits: GuestLimits) -> Result<PoolingAllocationConfig> {
    // The engine takes pages that were swapped out for clean: looking for dirty ones would leave them as they are.
    let scan = match memory::may_swap() {
        true => Enabled::No,
        false => Enabled::Auto,
    };
    let share = usize::try_from(limits.worker_memory / 4 / KEPT).unwrap_or(usize::MAX);
    let keep = KEEP_RESIDENT.min(share);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(u32::MAX)
        .max_core_instances_per_component(u32::MAX)
        .max_component_instance_size(usize::MAX >> 1)
        .max_core_instance_size(usize::MAX >> 1)
        .max_memories_per_component(needs.memories)
        .max_memories_per_module(needs.memories)
        .max_tables_per_component(needs.tables)
        .max_tables_per_module(needs.tables)
        .total_memories(instances.saturating_mul(needs.memories.saturating_add(GC_HEAPS)))
        .total_tables(instances.saturating_mul(needs.tables))
        .total_stacks(instances.saturating_mul(STACKS_PER_INSTANCE))
        .total_gc_heaps(instances)
        .table_elements(usize::try_from(needs.table_elements)?)
        .max_memory_size(usize::try_from(limits.memory.min(1 << 32))?)
        .linear_memory_keep_resident(keep)
        .table_keep_resident(keep)
        .async_stack_keep_resident(STACK_KEEP_RESIDENT)
        .pagemap_scan(scan);
    Ok(pool)
}
