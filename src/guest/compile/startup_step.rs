//! A step before the start: a component of the command world that is run once, to its end, with what the
//! application may use. Knows nothing of requests.

use super::request::{Order, alone};
use super::spec::Recipe;
use crate::cache::Cache;
use crate::guest::component::info::{Anatomy, World};
use crate::guest::component::source::Source;
use crate::guest::component::target::Target;
use crate::guest::engine;
use crate::guest::failure::cause;
use crate::guest::host::capabilities::Capabilities;
use crate::guest::host::linker;
use crate::guest::host::state::State;
use crate::info;
use anyhow::{Context, Result, anyhow, bail};
use std::path::{Path, PathBuf};
use std::time::Instant;
use wasmtime::Store;
use wasmtime::component::InstancePre;
use wasmtime_wasi::I32Exit;
use wasmtime_wasi::{p2, p3};

/// A component that can be run, with what it imports.
pub struct Step {
    path: PathBuf,
    binary: Vec<u8>,
    target: Target,
}

impl Step {
    /// Reads it, and says what is wrong with it or missing for it.
    pub fn read(path: &Path, capabilities: &Capabilities) -> Result<Step> {
        let step = || match Source::read(path)? {
            Source::Component { binary, anatomy } => {
                Self::judge(path, binary, &anatomy, capabilities)
                    .with_context(|| format!("component `{}`", path.display()))
            }
            Source::Precompiled(_) => bail!(
                "component `{}`: it is native code; name the .wasm that it was made from",
                path.display()
            ),
        };
        step().context("option --before-start")
    }

    fn judge(
        path: &Path,
        binary: Vec<u8>,
        anatomy: &Anatomy,
        capabilities: &Capabilities,
    ) -> Result<Step> {
        let target = Target::new(anatomy.command()?, anatomy.concurrent());
        linker::check(&engine::compiling(target)?, target, anatomy)?;
        capabilities.check(anatomy.imports.iter().map(String::as_str))?;
        Ok(Step {
            path: path.to_owned(),
            binary,
            target,
        })
    }

    /// Runs it, and waits for its end.
    pub fn take(&self, order: &Order, cache: Option<&Cache>) -> Result<()> {
        let path = self.path.display();
        let about = || format!("step before the start `{path}`");
        let recipe = Recipe::of_step(self.target, self.binary.len());
        let code = order.code(&self.path, &recipe, &self.binary, cache);
        let component = code.with_context(about)?.component;
        let linker = linker::linker(component.engine(), self.target)?;
        let pre = linker.instantiate_pre(&component)?;
        let store = order.lone_store(component.engine())?;
        info!("Running `{path}` before the start");
        let start = Instant::now();
        let ended = alone(run(self.target.world, pre, store))?;
        succeeded(ended).with_context(about)?;
        info!(
            "`{path}` is done, after {:.1} s",
            start.elapsed().as_secs_f32()
        );
        Ok(())
    }
}

/// How a guest's `run` ended: as its WIT has it, or in a trap.
type Ended = wasmtime::Result<Result<(), ()>>;

/// Calls `wasi:cli/run`, 0.2 or 0.3.
async fn run(world: World, pre: InstancePre<State>, mut store: Store<State>) -> Ended {
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

/// Leaving by `wasi:cli/exit` is an end like any other.
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
