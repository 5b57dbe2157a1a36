//! A step before the start is a component of the command world that is run once, to its end, with what the
//! application may use. It knows nothing of requests.

use super::lone::block_on_guest;
use super::progress::display_path;
use super::request::{CompileRequest, Confine};
use super::spec::CompileSpec;
use crate::cache::{Cache, CodeOrigin, seal};
use crate::guest::component::info::{ComponentInfo, World};
use crate::guest::component::source::Source;
use crate::guest::component::target::Target;
use crate::guest::engine::{self, Plan, code};
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

/// A `StartupStep` is a component that can be run, because all that it imports is offered.
pub struct StartupStep {
    path: PathBuf,
    binary: Vec<u8>,
    target: Target,
}

impl StartupStep {
    /// Reads a component, and says what is wrong with it or missing for it.
    pub fn read(path: &Path, capabilities: &Capabilities) -> Result<StartupStep> {
        let step = || match Source::read(path)? {
            Source::Component { binary, info } => Self::validate(path, binary, &info, capabilities)
                .with_context(|| format!("component `{}`", path.display())),
            Source::Precompiled(_) => bail!(
                "component `{}`: it is native code; name the .wasm that it was made from",
                path.display()
            ),
        };
        step().context("option --before-start")
    }

    fn validate(
        path: &Path,
        binary: Vec<u8>,
        info: &ComponentInfo,
        capabilities: &Capabilities,
    ) -> Result<StartupStep> {
        let target = Target::new(info.command()?, info.concurrent());
        linker::check(&engine::compiling(target)?, target, info)?;
        capabilities.check(info.imports.iter().map(String::as_str))?;
        Ok(StartupStep {
            path: path.to_owned(),
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
    ) -> Result<(CodeOrigin, Plan)> {
        let spec = CompileSpec::of_step(self.target, self.binary.len());
        let code = request.code(&self.path, &spec, &self.binary, cache, file);
        let about = || format!("step before the start `{}`", self.path.display());
        let (code, origin) = code.with_context(about)?;
        Ok((origin, Plan::of(code.target, &code.component)))
    }
}

/// Runs the step that was made of this file, and waits for its end.
pub fn take(
    request: &CompileRequest,
    path: &Path,
    code: &OwnedFd,
    plan: Plan,
    confine: Confine<'_>,
) -> Result<()> {
    seal::verify(&File::from(code.try_clone()?))?;
    let component = code::component(&engine::compiling(plan.target)?, code)?;
    confine()?;
    let linker = linker::linker(component.engine(), plan.target)?;
    let pre = linker.instantiate_pre(&component)?;
    let store = request.lone_store(component.engine(), None)?;
    let path = display_path(path);
    info!("Running `{path}` before the start");
    let start = Instant::now();
    let ended = block_on_guest(run(plan.target.world, pre, store))?;
    succeeded(ended)?;
    info!(
        "`{path}` is done, after {:.1} s",
        start.elapsed().as_secs_f32()
    );
    Ok(())
}

/// A guest's `run` ends as its WIT has it, or in a trap.
type Ended = wasmtime::Result<Result<(), ()>>;

/// Calls `wasi:cli/run`, 0.2 or 0.3.
async fn run(world: World, pre: InstancePre<HostState>, mut store: Store<HostState>) -> Ended {
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
fn succeeded(ended: Ended) -> Result<()> {
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
