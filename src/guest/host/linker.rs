//! The linker has everything that the host offers to guests: the imports of the WASI command and HTTP worlds, and
//! those of wit/. The capabilities of an instance decide what it may do with them, not this file.

use super::at_hand;
use super::database_lock;
use super::exchange;
use super::file_streams;
use super::http_imports;
use super::insecure_seed;
use super::keyvalue;
use super::listings;
use super::logging;
use super::name_lookup;
use super::newer_listings;
use super::postgres;
use super::socket_making;
use super::special_files;
use super::sqlite;
use super::state::HostState;
use super::tls;
use super::websocket;
use crate::guest::component::info::{ComponentInfo, World};
use crate::guest::component::target::Target;
use anyhow::{Result, bail};
use std::fmt;
use wasmtime::Engine;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, LinkerInstance, ResourceType};

/// Makes a linker with everything that a component of this target can be offered.
pub fn linker(engine: &Engine, target: Target) -> Result<Linker<HostState>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    // Streams and what waits for them need the resources and no more.
    linker.allow_shadowing(true);
    wasmtime_wasi_io::add_to_linker_async(&mut linker)?;
    linker.allow_shadowing(false);
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    wasmtime_wasi_config::add_to_linker(&mut linker, |state: &mut HostState| state.settings())?;
    logging::add_to_linker(&mut linker)?;
    keyvalue::add_to_linker(&mut linker)?;
    postgres::add_to_linker(&mut linker)?;
    sqlite::add_to_linker(&mut linker)?;
    websocket::add_to_linker(&mut linker)?;
    exchange::add_to_linker(&mut linker)?;
    tls::add_to_linker(&mut linker)?;
    if target.concurrent {
        wasmtime_wasi::p3::add_to_linker(&mut linker)?;
        wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
    }
    listings::bound(&mut linker)?;
    if target.concurrent {
        newer_listings::replace(&mut linker)?;
    }
    special_files::add_to_linker(&mut linker, target.concurrent)?;
    at_hand::add_to_linker(&mut linker)?;
    file_streams::add_to_linker(&mut linker)?;
    http_imports::replace(&mut linker, target.concurrent)?;
    insecure_seed::replace(&mut linker, target.concurrent)?;
    name_lookup::replace(&mut linker, target.concurrent)?;
    socket_making::replace(&mut linker, target.concurrent)?;
    database_lock::add_to_linker(&mut linker, target.concurrent)?;
    Ok(linker)
}

/// The host offers these packages, in these versions: semantic versioning has `0.2.0` satisfied by a later `0.2.x`.
const PACKAGES: [(&str, &str); 15] = [
    ("spin:postgres", "4.0.0"),
    ("spin:sqlite", "3.0.0"),
    ("wasi:cli", "0.2.x and 0.3.0"),
    ("wasi:clocks", "0.2.x and 0.3.0"),
    ("wasi:config", "0.2.0-rc.1"),
    ("wasi:filesystem", "0.2.x and 0.3.0"),
    ("wasi:http", "0.2.x and 0.3.0"),
    ("wasi:io", "0.2.x"),
    ("wasi:keyvalue", "0.2.0-draft"),
    ("wasi:logging", "0.1.0-draft"),
    ("wasi:random", "0.2.x and 0.3.0"),
    ("wasi:sockets", "0.2.x and 0.3.0"),
    ("wasmserve:http", "0.1.0"),
    ("wasmserve:tls", "0.1.0"),
    ("wasmserve:websocket", "0.1.0"),
];

/// A `MissingImport` import cannot be satisfied.
#[derive(Debug, PartialEq, Eq)]
pub struct MissingImport {
    pub name: String,
    /// The host offers these versions of its package, if any.
    versions: Option<&'static str>,
}

impl fmt::Display for MissingImport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let package = self.name.split('/').next().unwrap_or_default();
        match self.versions {
            _ if World::of_export(&self.name).is_some() => write!(
                f,
                "not offered; a component that hands requests on is middleware: name it with --middleware, and the \
                 application that it is for"
            ),
            Some(versions) => write!(
                f,
                "not offered; of `{package}` there are versions {versions}"
            ),
            None => write!(
                f,
                "not offered; build the component without it, or compose it with one that exports it"
            ),
        }
    }
}

/// Fails where a component imports what is not offered, before it is compiled.
pub fn check(engine: &Engine, target: Target, info: &ComponentInfo) -> Result<()> {
    let missing = missing(engine, target, info)?;
    if missing.is_empty() {
        return Ok(());
    }
    let named: Vec<String> = missing
        .iter()
        .map(|missing| format!("`{}` ({missing})", missing.name))
        .collect();
    bail!("it imports what is not offered here: {}", named.join(", "));
}

/// Finds the imports that are not offered. It asks the linker itself, with a component that has the same imports and
/// nothing else, and gives it what it misses until it misses nothing.
pub fn missing(
    engine: &Engine,
    target: Target,
    info: &ComponentInfo,
) -> Result<Vec<MissingImport>> {
    let handlers = info.imports.iter();
    let mut missing: Vec<MissingImport> = handlers
        .filter(|name| World::of_export(name).is_some())
        .map(|name| missing_import(name))
        .collect();
    if !missing.is_empty() {
        // The types that a handler takes are not those of a stand-in, so that the linker would have no more to say.
        return Ok(missing);
    }
    let Ok(importer) = Component::from_binary(engine, &info.importer) else {
        // Its imports are among its code: compiling it will tell.
        return Ok(missing);
    };
    let mut linker = linker(engine, target)?;
    linker.allow_shadowing(true);
    while let Err(error) = linker.instantiate_pre(&importer) {
        let text = error.to_string();
        let blamed = info.imports.iter().find(|name| {
            text.contains(&format!("`{name}`"))
                && !missing
                    .iter()
                    .any(|known: &MissingImport| known.name == **name)
        });
        let Some(name) = blamed else {
            bail!("{error:?}");
        };
        missing.push(missing_import(name));
        define(&mut linker, &importer, name)?;
    }
    for name in &info.imports {
        if is_empty(&importer, name)
            && versions(name).is_none_or(|offered| !is_among(offered, name))
        {
            missing.push(missing_import(name));
        }
    }
    missing.sort_by_key(|missing| info.imports.iter().position(|name| *name == missing.name));
    Ok(missing)
}

fn missing_import(name: &str) -> MissingImport {
    MissingImport {
        name: name.to_owned(),
        versions: versions(name),
    }
}

fn versions(name: &str) -> Option<&'static str> {
    let package = name.split('/').next()?;
    PACKAGES
        .iter()
        .find(|(offered, _)| *offered == package)
        .map(|(_, versions)| *versions)
}

/// Says whether the version of a name is one of those that are offered of its package.
fn is_among(offered: &str, name: &str) -> bool {
    let version = name.split_once('@').map_or("", |(_, version)| version);
    offered
        .split(" and ")
        .any(|offered| match offered.strip_suffix('x') {
            Some(prefix) => version.starts_with(prefix),
            None => version == offered,
        })
}

/// Says whether an import has nothing in it, so that the linker has nothing to say about it.
fn is_empty(importer: &Component, name: &str) -> bool {
    let ty = importer.component_type();
    match ty
        .get_import(importer.engine(), name)
        .map(|import| import.ty)
    {
        Some(ComponentItem::ComponentInstance(instance)) => {
            instance.exports(importer.engine()).next().is_none()
        }
        _ => false,
    }
}

/// Gives the linker something in the place of an import, so that it goes on to the next.
fn define(linker: &mut Linker<HostState>, importer: &Component, name: &str) -> Result<()> {
    let ty = importer.component_type();
    let engine = importer.engine();
    let Some(import) = ty.get_import(engine, name) else {
        return Ok(());
    };
    match import.ty {
        ComponentItem::ComponentInstance(instance) => {
            let mut defined = linker.instance(name)?;
            for (name, export) in instance.exports(engine) {
                stand_in(&mut defined, name, &export.ty)?;
            }
            Ok(())
        }
        item => stand_in(&mut linker.root(), name, &item),
    }
}

fn stand_in(
    linker: &mut LinkerInstance<'_, HostState>,
    name: &str,
    item: &ComponentItem,
) -> Result<()> {
    match item {
        ComponentItem::ComponentFunc(_) => {
            linker.func_new(name, |_, _, _, _| {
                wasmtime::bail!("a stand-in is never called")
            })?;
        }
        ComponentItem::Resource(_) => {
            linker.resource(name, ResourceType::host::<()>(), |_, _| Ok(()))?;
        }
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmtime::Config;

    fn missing_of(imports: &str) -> Vec<String> {
        let [target, ..] = Target::ALL;
        let engine = Engine::new(Config::new().concurrency_support(true)).unwrap();
        let binary = wat::parse_str(format!("(component {imports} (core module))")).unwrap();
        let missing = missing(&engine, target, &ComponentInfo::of(&binary).unwrap()).unwrap();
        missing
            .into_iter()
            .map(|missing| format!("{} {missing}", missing.name))
            .collect()
    }

    #[test]
    fn both_versions_of_wasi_are_offered() {
        let function = |name: &str, function: &str| {
            format!(r#"(import "{name}" (instance (export "{function}" (func (result u64)))))"#)
        };
        let clocks = function("wasi:clocks/monotonic-clock@0.2.0", "now");
        let random = function("wasi:random/random@0.2.6", "get-random-u64");
        let newer = function("wasi:random/random@0.3.0", "get-random-u64");
        assert_eq!(
            missing_of(&format!("{clocks}{random}{newer}")),
            [] as [String; 0]
        );
    }

    #[test]
    fn everything_that_is_missing_is_named_with_the_versions_that_there_are() {
        let missing = missing_of(
            r#"(import "acme:widgets/gadget@1.2.0" (instance (export "spin" (func))))
               (import "wasi:random/random@0.9.0" (instance (export "get-random-u64" (func (result u64)))))
               (import "wasi:clocks/wall-clock@0.2.0" (instance))
               (import "acme:nothing/at-all" (instance))
               (import "wasi:config/store@0.2.0-rc.1" (instance))
               (import "wasi:logging/logging@0.2.0" (instance))"#,
        );
        assert_eq!(missing.len(), 4, "{missing:?}");
        assert!(missing[0].starts_with("acme:widgets/gadget@1.2.0 not offered; build"));
        assert!(missing[1].ends_with("of `wasi:random` there are versions 0.2.x and 0.3.0"));
        assert!(missing[2].starts_with("acme:nothing/at-all"));
        assert!(missing[3].ends_with("there are versions 0.1.0-draft"));
    }
}
