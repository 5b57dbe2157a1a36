//! `wasmserve inspect` says what a component is, and whether it could be served here.

use crate::guest::component::chain::Chain;
use crate::guest::component::info::{ComponentInfo, World};
use crate::guest::component::source::ComponentFile;
use crate::guest::component::target::Target;
use crate::guest::engine;
use crate::guest::host::keyvalue;
use crate::guest::host::linker;
use crate::guest::host::postgres;
use crate::guest::host::sqlite;
use crate::guest::snapshot;
use anyhow::{Context, Result};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// An `Inspection` describes a component to a person.
pub struct Inspection {
    pub text: String,
    /// The component could be served.
    pub servable: bool,
}

/// Describes the component in a file without compiling it, together with this middleware.
pub fn inspect(path: &Path, middleware: &[PathBuf]) -> Result<Inspection> {
    let mut text = format!("{}\n", path.display());
    let source = match middleware {
        [] => ComponentFile::read(path)?,
        middleware => {
            let composed = composed(&mut text, path, middleware);
            composed.with_context(|| format!("component `{}`", path.display()))?
        }
    };
    let servable = match source {
        ComponentFile::Precompiled(code) => {
            writeln!(
                text,
                "  native code of {} bytes, made by `wasmserve compile`",
                code.len()
            )?;
            writeln!(text, "  served only with --allow-precompiled")?;
            true
        }
        ComponentFile::Component { binary, info } => {
            writeln!(text, "  component of {} bytes", binary.len())?;
            let servable = describe(&mut text, &info);
            let servable = servable.with_context(|| format!("component `{}`", path.display()))?;
            if servable {
                text.push_str(&freshness(&binary));
            }
            servable
        }
    };
    Ok(Inspection { text, servable })
}

/// Puts middleware in front of the component, and says so.
fn composed(text: &mut String, path: &Path, middleware: &[PathBuf]) -> Result<ComponentFile> {
    let chain = Chain::read(path, ComponentFile::parse(path)?, middleware)?;
    for path in middleware {
        writeln!(text, "  behind the middleware {}", path.display())?;
    }
    if let Some(path) = chain.without_websockets() {
        writeln!(
            text,
            "  gets no WebSockets: {} does not take part in them",
            path.display()
        )?;
    }
    chain.compose()
}

fn describe(text: &mut String, info: &ComponentInfo) -> Result<bool> {
    let world = info.world();
    match &world {
        Ok(world) => writeln!(
            text,
            "  targets {}, served as WASI {}",
            world.name(),
            generation(*world)
        )?,
        Err(error) => writeln!(text, "  cannot be served: {error:#}")?,
    }
    writeln!(text, "exports")?;
    for export in &info.exports {
        writeln!(text, "  {export}")?;
    }
    writeln!(text, "imports")?;
    let world_of_it = *world.as_ref().unwrap_or(&World::P2);
    let target = Target::new(world_of_it, info.concurrent());
    let missing = linker::missing(&engine::compiling(target)?, target, info)?;
    let width = info.imports.iter().map(String::len).max().unwrap_or(0);
    for import in &info.imports {
        match missing.iter().find(|missing| missing.name == *import) {
            Some(missing) => writeln!(text, "  {import:width$}  {missing}")?,
            None if keyvalue::is_needed_for(import) => {
                writeln!(text, "  {import:width$}  offered with --keyvalue")?;
            }
            None if postgres::is_needed_for(import) => {
                writeln!(text, "  {import:width$}  offered with --postgres")?;
            }
            None if sqlite::is_needed_for(import) => {
                writeln!(text, "  {import:width$}  offered with --sqlite")?;
            }
            None => writeln!(text, "  {import:width$}  offered")?,
        }
    }
    Ok(world.is_ok() && missing.is_empty())
}

/// Says whether each request gets a new instance or a restored one, and why.
fn freshness(binary: &[u8]) -> String {
    let made = "each request has an instance made for it";
    match snapshot::validate(binary) {
        Ok(()) => {
            "each request has an instance that is put back as it was when it was made\n".to_owned()
        }
        Err(error) => format!("{made}: {error:#}\n"),
    }
}

fn generation(world: World) -> &'static str {
    match world {
        World::P2 => "0.2",
        World::P3 => "0.3",
    }
}
