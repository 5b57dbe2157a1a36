//! This file maps native code: it is the one place where bytes become something that the processor runs.

use crate::guest::component::info::World;
use anyhow::Result;
use std::os::fd::AsRawFd;
use wasmtime::Engine;
use wasmtime::component::Component;

/// Maps the code in a file, which all processes that map it share.
pub fn component(engine: &Engine, code: &impl AsRawFd) -> Result<Component> {
    let path = format!("/proc/self/fd/{}", code.as_raw_fd());
    // SAFETY: the bytes are what this program's compiler wrote, as their digest says (`cache::seal`), in a cache
    // file that only its owner can write (checked by `Cache`), in a sealed memfd, or in a file that the operator
    // vouched for with --allow-precompiled. The engine refuses code that was made by another version or for
    // another configuration.
    Ok(unsafe { Component::deserialize_file(engine, path) }?)
}

/// Says whether compiled code exports the handler of `world`.
pub fn exports_handler_of(component: &Component, world: World) -> bool {
    let ty = component.component_type();
    ty.exports(component.engine())
        .any(|(name, _)| World::of_export(name) == Some(world))
}
