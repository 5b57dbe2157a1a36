//! `ComponentInfo` says what a component is: its exports, its imports, and the world that it is served in. It is read
//! from the bytes, which are not compiled, and it knows nothing of what the host offers.

pub use crate::channel::World;
use anyhow::{Context, Result, bail};
use wasm_encoder::{RawSection, Section};
use wasmparser::{Chunk, ComponentExternalKind, Encoding, Parser, Payload};

impl World {
    /// Names the world as the documentation of toolchains does.
    pub fn name(self) -> &'static str {
        match self {
            World::P2 => "wasi:http/proxy@0.2",
            World::P3 => "wasi:http/service@0.3",
        }
    }

    /// Finds the world whose handler has this export name.
    pub fn of_export(name: &str) -> Option<World> {
        if name.starts_with("wasi:http/incoming-handler@0.2.") {
            Some(World::P2)
        } else if name.starts_with("wasi:http/handler@0.3.") && !name.contains("-rc") {
            Some(World::P3)
        } else {
            None
        }
    }
}

/// `ComponentInfo` holds the imports and exports of a component.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ComponentInfo {
    pub imports: Vec<String>,
    pub exports: Vec<String>,
    /// These exports are interfaces.
    pub interfaces: Vec<String>,
    /// These are the bytes of a component that has the same imports and does nothing with them.
    pub importer: Vec<u8>,
}

impl ComponentInfo {
    /// Reads the outermost component of `binary`.
    pub fn of(binary: &[u8]) -> Result<ComponentInfo> {
        if binary.is_empty() {
            bail!("the file is empty; give a WebAssembly component");
        }
        if !binary.starts_with(b"\0asm") {
            bail!("it is no WebAssembly, neither binary nor text; name the component's .wasm file");
        }
        if !Parser::is_component(binary) && Parser::is_core_wasm(binary) {
            bail!(
                "it is a core module, not a component; make a component of it with \
                 `wasm-tools component new`, or build for the target wasm32-wasip2"
            );
        }
        let mut info = ComponentInfo::default();
        info.read(binary)
            .context("it is not a whole WebAssembly component; build or copy it again")?;
        Ok(info)
    }

    /// Reads the top level only: it steps over nested modules and components.
    fn read(&mut self, binary: &[u8]) -> Result<()> {
        let mut parser = Parser::new(0);
        let mut rest = binary;
        let mut before_code = true;
        loop {
            let (payload, consumed) = match parser.parse(rest, true)? {
                Chunk::Parsed { payload, consumed } => (payload, consumed),
                Chunk::NeedMoreData(_) => bail!("it ends too early"),
            };
            rest = &rest[consumed..];
            before_code &= !is_code(&payload);
            match (before_code, payload.as_section(), &payload) {
                (true, Some((id, range)), _) if id != CUSTOM_SECTION => {
                    copy_section(&mut self.importer, id, &binary[range]);
                }
                (_, _, Payload::Version { range, .. }) => {
                    self.importer.extend_from_slice(&binary[range.clone()]);
                }
                _ => {}
            }
            match payload {
                Payload::Version { encoding, .. } if encoding != Encoding::Component => {
                    bail!("it is not a component");
                }
                Payload::ComponentImportSection(section) => {
                    for import in section {
                        self.imports.push(import?.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(section) => {
                    for export in section {
                        let export = export?;
                        let name = export.name.name.to_owned();
                        if export.kind == ComponentExternalKind::Instance {
                            self.interfaces.push(name.clone());
                        }
                        self.exports.push(name);
                    }
                }
                Payload::ModuleSection {
                    unchecked_range, ..
                }
                | Payload::ComponentSection {
                    unchecked_range, ..
                } => {
                    let length = unchecked_range.len();
                    if length > rest.len() {
                        bail!("it ends too early");
                    }
                    rest = &rest[length..];
                }
                Payload::End(_) => return Ok(()),
                _ => {}
            }
        }
    }

    /// Chooses the world to serve the component in: 0.3 where it exports both handlers.
    pub fn world(&self) -> Result<World> {
        let mut worlds: Vec<World> = self
            .exports
            .iter()
            .filter_map(|e| World::of_export(e))
            .collect();
        worlds.sort_by_key(|world| *world == World::P2);
        match worlds.first() {
            Some(world) => Ok(*world),
            None => bail!(
                "it exports no wasi:http handler (it exports {}); build it for the `wasi:http/proxy` \
                 world (0.2) or the `wasi:http/service` world (0.3)",
                listed(&self.exports)
            ),
        }
    }

    /// Chooses the version of `wasi:cli/run` that a command is run with: 0.3 where it exports both.
    pub fn command(&self) -> Result<World> {
        let exports = |start: &str| {
            let mut exports = self.exports.iter();
            exports.any(|name| name.starts_with(start) && !name.contains("-rc"))
        };
        if exports("wasi:cli/run@0.3.") {
            Ok(World::P3)
        } else if exports("wasi:cli/run@0.2.") {
            Ok(World::P2)
        } else {
            bail!(
                "it exports no wasi:cli/run (it exports {}); build it for the `wasi:cli/command` world",
                listed(&self.exports)
            )
        }
    }

    /// Says whether the component needs the component model's async support in the engine, without which a
    /// synchronous 0.2 component is served faster.
    pub fn concurrent(&self) -> bool {
        let mut names = self.imports.iter().chain(&self.exports);
        names.any(|name| {
            name.split_once('@')
                .is_some_and(|(_, version)| version.starts_with("0.3."))
        })
    }
}

const CUSTOM_SECTION: u8 = 0;

/// Says whether a section uses imports, so that no more of them follow.
fn is_code(payload: &Payload<'_>) -> bool {
    matches!(
        payload,
        Payload::ModuleSection { .. }
            | Payload::ComponentSection { .. }
            | Payload::InstanceSection(_)
            | Payload::ComponentInstanceSection(_)
            | Payload::ComponentCanonicalSection(_)
            | Payload::ComponentExportSection(_)
    )
}

fn copy_section(to: &mut Vec<u8>, id: u8, data: &[u8]) {
    RawSection { id, data }.append_to(to);
}

fn listed(names: &[String]) -> String {
    match names {
        [] => "nothing".to_owned(),
        names => names
            .iter()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(text: &str) -> Result<ComponentInfo> {
        ComponentInfo::of(&wat::parse_str(text).unwrap())
    }

    #[test]
    fn a_component_that_exports_the_handler_is_served_in_its_world() {
        let p2 = info(
            r#"(component (instance $i) (export "wasi:http/incoming-handler@0.2.6" (instance $i)))"#,
        );
        assert_eq!(p2.unwrap().world().unwrap(), World::P2);
        let p3 =
            info(r#"(component (instance $i) (export "wasi:http/handler@0.3.0" (instance $i)))"#)
                .unwrap();
        assert_eq!(p3.world().unwrap(), World::P3);
        assert!(p3.concurrent());
    }

    #[test]
    fn a_component_without_a_handler_is_refused_by_what_it_exports() {
        let other =
            info(r#"(component (instance $i) (export "wasi:cli/run@0.2.0" (instance $i)))"#);
        let error = other.unwrap().world().unwrap_err().to_string();
        assert!(error.contains("`wasi:cli/run@0.2.0`"), "{error}");
    }

    #[test]
    fn a_step_is_known_by_what_it_exports() {
        let run = |version: &str| {
            let export = format!(r#"(export "wasi:cli/run@{version}" (instance $i))"#);
            info(&format!("(component (instance $i) {export})")).unwrap()
        };
        assert_eq!(run("0.2.6").command().unwrap(), World::P2);
        assert_eq!(run("0.3.0").command().unwrap(), World::P3);
        let error = run("0.9.0").command().unwrap_err().to_string();
        assert!(error.contains("`wasi:cli/run@0.9.0`"), "{error}");
    }

    #[test]
    fn a_core_module_is_told_how_to_become_a_component() {
        let error = info("(module)").unwrap_err().to_string();
        assert!(error.contains("wasm-tools component new"), "{error}");
    }

    #[test]
    fn a_truncated_component_is_not_a_component() {
        let whole = wat::parse_str("(component (core module (func)))").unwrap();
        for length in 9..whole.len() {
            assert!(
                ComponentInfo::of(&whole[..length]).is_err(),
                "{length} of {}",
                whole.len()
            );
        }
    }
}
