//! This file has the world that applications are built for where their toolchain brings none, and makes a core module a
//! component of it.

use super::embedded::{self, Embedded};
use anyhow::{Context, Result, anyhow};
use std::path::Path;
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, WorldId};

/// The world has this name in `world.wit`.
pub const WORLD: &str = "application";

/// Applications that have a bridge of ours beside them are built for this world.
pub const BRIDGED: &str = "bridged";

/// The bridge that reads an application from a file is built for this world.
pub const LATE: &str = "bridged-late";

/// Applications with a bridge that take WebSockets are built for this world.
pub const WITH_WEBSOCKETS: &str = "bridged-with-websockets";

/// The world of one application, with what it imports, has this name.
const OF_ONE: &str = "of-one-application";

/// An application may import these beside what its world has; others are not offered where no capability is granted.
const OFFERED: [&str; 7] = [
    "spin:postgres/postgres@4.0.0",
    "spin:sqlite/sqlite@3.0.0",
    "wasi:config/store@0.2.0-rc.1",
    "wasi:keyvalue/atomics@0.2.0-draft",
    "wasi:keyvalue/batch@0.2.0-draft",
    "wasi:keyvalue/store@0.2.0-draft",
    "wasi:logging/logging@0.1.0-draft",
];

macro_rules! wit {
    ($($path:literal),*) => {
        [$(($path, include_str!(concat!("../../wit/", $path)))),*]
    };
}

static FILES: [Embedded; 20] = wit![
    "world.wit",
    "deps/spin-postgres-4.0.0/postgres.wit",
    "deps/spin-sqlite-3.0.0/sqlite.wit",
    "deps/wasi-cli-0.2.10/package.wit",
    "deps/wasi-clocks-0.2.10/package.wit",
    "deps/wasi-config-0.2.0-rc.1/store.wit",
    "deps/wasi-config-0.2.0-rc.1/world.wit",
    "deps/wasi-filesystem-0.2.10/package.wit",
    "deps/wasi-http-0.2.10/package.wit",
    "deps/wasi-io-0.2.10/package.wit",
    "deps/wasi-keyvalue-0.2.0-draft/atomic.wit",
    "deps/wasi-keyvalue-0.2.0-draft/batch.wit",
    "deps/wasi-keyvalue-0.2.0-draft/store.wit",
    "deps/wasi-keyvalue-0.2.0-draft/world.wit",
    "deps/wasi-logging-0.1.0-draft/logging.wit",
    "deps/wasi-random-0.2.10/package.wit",
    "deps/wasi-sockets-0.2.10/package.wit",
    "deps/wasmserve-http-0.1.0/http.wit",
    "deps/wasmserve-lifecycle-0.1.0/lifecycle.wit",
    "deps/wasmserve-websocket-0.1.0/websocket.wit"
];

/// Lists the packages of `wit/`.
pub fn files() -> &'static [Embedded] {
    &FILES
}

/// Writes the packages of `wit/` to a directory.
pub fn write(directory: &Path) -> Result<()> {
    embedded::write_all(directory, FILES)
}

/// Writes the packages of `wit/` to a directory, with a world for an application that imports these interfaces beside
/// what `world` has. Returns the name of the world to build for.
pub fn write_for<'a>(directory: &Path, world: &'a str, imports: &[String]) -> Result<&'a str> {
    write(directory)?;
    let offered = imports
        .iter()
        .filter(|import| OFFERED.contains(&import.as_str()));
    let offered: Vec<String> = offered
        .map(|name| format!("    import {name};\n"))
        .collect();
    if offered.is_empty() {
        return Ok(world);
    }
    let file = directory.join("world.wit");
    let mut text = std::fs::read_to_string(&file).context("cannot read the world")?;
    let imports = offered.concat();
    text.push_str(&format!(
        "\nworld {OF_ONE} {{\n    include {world};\n{imports}}}\n"
    ));
    embedded::write(&file, text.as_bytes())?;
    Ok(OF_ONE)
}

/// Makes a component of a core module for `wasm32-wasip1`, a reactor, whose bindings are those of the
/// packages in `wit`.
pub fn component(module: &Path, wit: &Path, world: &str, output: &Path) -> Result<()> {
    let mut module =
        std::fs::read(module).with_context(|| format!("cannot read `{}`", module.display()))?;
    let component =
        encode(&mut module, wit, world).context("cannot make a component of what was built")?;
    embedded::write(output, &component)
}

/// Writes the bindings for C to a directory.
pub fn write_c_bindings(wit: &Path, directory: &Path) -> Result<()> {
    let (mut resolve, world) = resolved(wit, WORLD)?;
    let mut files = wit_bindgen_core::Files::default();
    let mut generator = wit_bindgen_c::Opts::default().build();
    generator.generate(&mut resolve, world, &mut files)?;
    embedded::write_all(directory, files.iter())
}

fn resolved(wit: &Path, world: &str) -> Result<(Resolve, WorldId)> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve
        .push_dir(wit)
        .map_err(|error| anyhow!("{error:?}"))?;
    let world = resolve
        .select_world(&[package], Some(world))
        .map_err(|error| anyhow!("{error:?}"))?;
    Ok((resolve, world))
}

fn encode(module: &mut Vec<u8>, wit: &Path, world: &str) -> Result<Vec<u8>> {
    let (resolve, world) = resolved(wit, world)?;
    embed_component_metadata(module, &resolve, world, StringEncoding::UTF8)?;
    let adapter = WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER;
    ComponentEncoder::default()
        .module(module)?
        .validate(true)
        .adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, adapter)?
        .encode()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::Scratch;

    /// Each world of ours would be refused that imports what is not there.
    #[test]
    fn every_world_finds_what_it_imports() {
        let scratch = Scratch::new().unwrap();
        write(scratch.path()).unwrap();
        for world in [WORLD, BRIDGED, WITH_WEBSOCKETS] {
            resolved(scratch.path(), world).unwrap();
        }
    }

    #[test]
    fn a_world_has_what_an_application_imports_beside_what_it_had() {
        let scratch = Scratch::new().unwrap();
        let directory = scratch.path();
        assert_eq!(write_for(directory, BRIDGED, &[]).unwrap(), BRIDGED);
        let unknown = "wasi:http/types@0.2.10".to_owned();
        let imports = [&[unknown], &OFFERED.map(str::to_owned)[..]].concat();
        let world = write_for(directory, WITH_WEBSOCKETS, &imports).unwrap();
        let (resolve, world) = resolved(directory, world).unwrap();
        let names = resolve.worlds[world].imports.keys();
        let names: Vec<String> = names.map(|key| resolve.name_world_key(key)).collect();
        for name in OFFERED.iter().copied().chain(["wasi:http/types@0.2.10"]) {
            assert!(names.iter().any(|found| found == name), "{name}: {names:?}");
        }
    }
}
