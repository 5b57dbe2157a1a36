//! `PublishedComponent` says of a component that is pushed what registries tell of it before anybody has it.

use crate::guest::component::info::World;
use crate::guest::component::source::ComponentFile;
use crate::guest::component::target::target_of;
use anyhow::{Context, Result, bail};
use std::path::Path;

/// `PublishedComponent` is a component in binary form, with what it needs and gives.
pub struct PublishedComponent {
    pub component: Vec<u8>,
    /// Registries have this name for the system that the component is for.
    pub system: &'static str,
    pub exports: Vec<String>,
    pub imports: Vec<String>,
}

/// Reads a component that could be served by somebody.
pub fn published(path: &Path) -> Result<PublishedComponent> {
    let about = || format!("component `{}`", path.display());
    let ComponentFile::Component { binary, info } = ComponentFile::read(path)? else {
        bail!(
            "{}: it is native code; push the .wasm that it was made from",
            about()
        );
    };
    let system = match target_of(&info).with_context(about)?.world {
        World::P2 => "wasip2",
        World::P3 => "wasip3",
    };
    Ok(PublishedComponent {
        component: binary,
        system,
        exports: info.exports,
        imports: info.imports,
    })
}
