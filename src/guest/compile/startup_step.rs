//! Steps before the start and periodic jobs are components of the command world that are run to their end, with what
//! the application may use. They know nothing of requests.

use super::one_off::block_on_guest;
use super::progress::display_path;
use super::request::{CompileRequest, Confine};
use super::spec::CompileSpec;
use crate::cache::{Cache, CodeOrigin, seal};
use crate::guest::component::info::{ComponentInfo, World};
use crate::guest::component::source::ComponentFile;
use crate::guest::component::target::Target;
use crate::guest::engine::{self, CodeInfo, code};
use crate::guest::failure::cause;
use crate::guest::host::capabilities::Capabilities;
use crate::guest::host::linker;
use crate::guest::host::state::HostState;
use crate::info;
use anyhow::{Context, Result, anyhow, bail};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Instant;
use wasmtime::Store;
use wasmtime::component::InstancePre;
use wasmtime_wasi::I32Exit;
use wasmtime_wasi::{p2, p3};

/// An `Occasion` is when a component of the command world is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// The step is run once, before the application is served.
    BeforeStart,
    /// The job is run again and again, beside the application.
    Periodic,
}

impl Occasion {
    /// Returns the option that asks for it.
    fn option(self) -> &'static str {
        match self {
            Occasion::BeforeStart => "--before-start",
            Occasion::Periodic => "--every",
        }
    }

    /// Says what a component that is run on this occasion is called.
    fn about(self, path: &Path) -> String {
        match self {
            Occasion::BeforeStart => format!("step before the start `{}`", path.display()),
            Occasion::Periodic => format!("job `{}`", path.display()),
        }
    }
}

/// A `StartupStep` is a component that can be run, because all that it imports is offered.
pub struct StartupStep {
    path: PathBuf,
    occasion: Occasion,
    binary: Vec<u8>,
    target: Target,
}

impl StartupStep {
    /// Reads a component, and says what is wrong with it or missing for it.
    fn read(path: &Path, occasion: Occasion, capabilities: &Capabilities) -> Result<StartupStep> {
        let step = || match ComponentFile::read(path)? {
            ComponentFile::Component { binary, info } => {
                let step = Self::validate(path, occasion, binary, &info, capabilities);
                step.with_context(|| format!("component `{}`", path.display()))
            }
            ComponentFile::Precompiled(_) => bail!(
                "component `{}`: it is native code; name the .wasm that it was made from",
                path.display()
            ),
        };
        step().with_context(|| format!("option {}", occasion.option()))
    }

    fn validate(
        path: &Path,
        occasion: Occasion,
        binary: Vec<u8>,
        info: &ComponentInfo,
        capabilities: &Capabilities,
    ) -> Result<StartupStep> {
        let target = Target::new(info.command()?, info.concurrent());
        linker::check(&engine::compiling(target)?, target, info)?;
        capabilities.check(info.imports.iter().map(String::as_str))?;
        Ok(StartupStep {
            path: path.to_owned(),
            occasion,
            binary,
            target,
        })
    }

    /// Makes the code of the step, in this file where it is not in the cache.
    pub fn compile(
        &self,
        request: &CompileRequest,
        cache: Option<&Cache>,
        file: &File,
    ) -> Result<(CodeOrigin, CodeInfo)> {
        let spec = CompileSpec::of_step(self.target, self.binary.len());
        let code = request.code(&self.path, &spec, &self.binary, cache, file);
        let about = || self.occasion.about(&self.path);
        let (code, origin) = code.with_context(about)?;
        Ok((origin, CodeInfo::of(code.target, &code.component)))
    }
}

impl CompileRequest {
    /// Reads the steps before the start, and then the periodic jobs, and says what can be known to be wrong without
    /// running them.
    pub fn steps(&self) -> Result<Vec<StartupStep>> {
        let steps = self.steps.iter().map(|path| (path, Occasion::BeforeStart));
        let jobs = self.jobs.iter().map(|path| (path, Occasion::Periodic));
        let all = steps.chain(jobs);
        all.map(|(path, occasion)| StartupStep::read(path, occasion, &self.capabilities))
            .collect()
    }

    /// Runs a step before the start, or a periodic job, whose code was made, to its end.
    pub fn take_step(
        &self,
        occasion: Occasion,
        index: usize,
        code: &OwnedFd,
        info: CodeInfo,
        confine: Confine<'_>,
    ) -> Result<()> {
        let paths = match occasion {
            Occasion::BeforeStart => &self.steps,
            Occasion::Periodic => &self.jobs,
        };
        let path = paths.get(index).context("there is no such component")?;
        let taken = take(self, occasion, path, code, info, confine);
        taken.with_context(|| occasion.about(path))
    }
}

/// Runs what was made of this file, and waits for its end.
fn take(
    request: &CompileRequest,
    occasion: Occasion,
    path: &Path,
    code: &OwnedFd,
    info: CodeInfo,
    confine: Confine<'_>,
) -> Result<()> {
    seal::verify(&File::from(code.try_clone()?))?;
    let component = code::component(&engine::compiling(info.target)?, code)?;
    confine()?;
    let linker = linker::linker(component.engine(), info.target)?;
    let pre = linker.instantiate_pre(&component)?;
    let store = request.one_off_store(component.engine(), None)?;
    let path = display_path(path);
    match occasion {
        Occasion::BeforeStart => info!("Running `{path}` before the start"),
        Occasion::Periodic => info!("Running `{path}`"),
    }
    let start = Instant::now();
    let ended = block_on_guest(run(info.target.world, pre, store))?;
    succeeded(ended)?;
    info!(
        "`{path}` is done, after {:.1} s",
        start.elapsed().as_secs_f32()
    );
    Ok(())
}

/// A guest's `run` ends as its WIT has it, or in a trap.
type RunResult = wasmtime::Result<Result<(), ()>>;

/// Calls `wasi:cli/run`, 0.2 or 0.3.
async fn run(world: World, pre: InstancePre<HostState>, mut store: Store<HostState>) -> RunResult {
    match world {
        World::P2 => {
            let pre = p2::bindings::CommandPre::new(pre)?;
            let command = pre.instantiate_async(&mut store).await?;
            command.wasi_cli_run().call_run(&mut store).await
        }
        World::P3 => {
            let pre = p3::bindings::CommandPre::new(pre)?;
            let command = pre.instantiate_async(&mut store).await?;
            let run = async |accessor: &_| command.wasi_cli_run().call_run(accessor).await;
            store.run_concurrent(run).await?
        }
    }
}

/// Says whether the guest succeeded: leaving by `wasi:cli/exit` is an end like any other.
fn succeeded(ended: RunResult) -> Result<()> {
    let error = match ended {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(())) => bail!("it has failed"),
        Err(error) => error,
    };
    match error.downcast_ref::<I32Exit>() {
        Some(I32Exit(0)) => Ok(()),
        Some(I32Exit(status)) => bail!("it has failed with status {status}"),
        None => Err(anyhow!("it trapped: {}", cause(&error))),
    }
}
