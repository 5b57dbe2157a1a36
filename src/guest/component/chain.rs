//! A `Chain` is an application with middleware in front of it: components that import the handler of requests and
//! export it. They become one component, in which each hands requests to the next. What any of them imports besides,
//! the host gives to all of them.
//!
//! Nothing reaches the application past its middleware: only the outermost component's handlers are exported, and
//! WebSockets only where all of them take part.

use super::imports::{Imports, Member, track};
use super::info::{ComponentInfo, World};
use super::sections::SectionWriter;
use super::shared::Importer;
use super::source::ComponentFile;
use super::websocket;
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use wasm_encoder::ComponentExportKind;
use wasmparser::{Parser, Validator, WasmFeatures};

/// A `Chain` holds the components that become one.
pub struct Chain {
    application: Part,
    /// The outermost comes first.
    middleware: Vec<Part>,
}

/// A `Part` is one of these components.
struct Part {
    name: PathBuf,
    binary: Vec<u8>,
    info: ComponentInfo,
}

impl Chain {
    /// Reads the middleware for this application, the outermost first.
    pub fn read(name: &Path, application: ComponentFile, middleware: &[PathBuf]) -> Result<Chain> {
        let ComponentFile::Component { binary, info } = application else {
            bail!(
                "it is native code, in front of which nothing can be put; serve the .wasm that it was made from, or \
                 give --middleware to `wasmserve compile`"
            );
        };
        let name = name.to_owned();
        let middleware = middleware.iter().map(|path| {
            let part = Part::read(path);
            part.with_context(|| format!("middleware `{}`", path.display()))
        });
        Ok(Chain {
            middleware: middleware.collect::<Result<_>>()?,
            application: Part { name, binary, info },
        })
    }

    /// Names the middleware that keeps WebSockets from an application that takes them. The application gets the
    /// request as one of HTTP then, by way of its middleware.
    pub fn without_websockets(&self) -> Option<&Path> {
        if !self.application.exports(websocket::HANDLER) {
            return None;
        }
        let mut parts = self.middleware.iter();
        let part = parts.find(|part| !part.exports(websocket::HANDLER))?;
        Some(&part.name)
    }

    /// Makes one component of them.
    pub fn compose(self) -> Result<ComponentFile> {
        let parts: Vec<&Part> = [&self.application]
            .into_iter()
            .chain(self.middleware.iter().rev())
            .collect();
        let (met, visible) = connect(&parts)?;
        let imports = parts.iter().enumerate().map(|(number, part)| {
            let imports = Imports::of(&part.info.importer);
            let imports = imports.and_then(|imports| part.check_all(imports));
            match number {
                // The caller names the application.
                0 => imports,
                _ => imports.with_context(|| part.about()),
            }
        });
        let imports: Vec<Imports<'_>> = imports.collect::<Result<_>>()?;
        let is_met = |number: usize, name: &str| met[number].contains_key(name);
        let mut composition = Composition {
            writer: SectionWriter::default(),
            importer: Importer::new(&imports, is_met),
            imports: &imports,
        };
        composition.importer.write(&mut composition.writer)?;
        let mut exports = Vec::new();
        for (number, part) in parts.iter().enumerate() {
            let behind = exports.last().cloned().unwrap_or_default();
            let own = composition.instance(number, part, &met[number], &behind)?;
            let kept = behind
                .into_iter()
                .filter(|(name, _)| !own.contains_key(name));
            exports.push(kept.chain(own.clone()).collect::<Exports>());
        }
        let exports = exports.pop().unwrap_or_default();
        for name in visible {
            let instance = exports.get(&name).context("an export was lost")?;
            composition.writer.export(&name, *instance);
        }
        let binary = composition.writer.finish();
        validate(&binary)?;
        let info = ComponentInfo::of(&binary)?;
        Ok(ComponentFile::Component { binary, info })
    }
}

/// Says which imports of each component are met by those behind it, and what can be seen of all of them from outside.
/// The innermost comes first.
fn connect(parts: &[&Part]) -> Result<(Vec<Met>, BTreeSet<String>)> {
    let [application, middleware @ ..] = parts else {
        bail!("there is no component");
    };
    let mut behind: BTreeSet<String> = application.info.interfaces.iter().cloned().collect();
    let (mut all, mut next) = (vec![Met::new()], application);
    for part in middleware {
        let connected = part.put_before(&behind, next);
        let (met, visible) = connected.with_context(|| part.about())?;
        all.push(met);
        (behind, next) = (visible, part);
    }
    Ok((all, behind))
}

impl Part {
    fn read(path: &Path) -> Result<Part> {
        match ComponentFile::parse(path)? {
            ComponentFile::Component { binary, info } => Ok(Part {
                name: path.to_owned(),
                binary,
                info,
            }),
            ComponentFile::Precompiled(_) => {
                bail!("it is native code; name the .wasm that it was made from")
            }
        }
    }

    fn about(&self) -> String {
        format!("middleware `{}`", self.name.display())
    }

    fn exports(&self, name: &str) -> bool {
        self.info.interfaces.iter().any(|export| export == name)
    }

    /// Lists the versions of WASI whose handler is among these names.
    fn worlds<'a>(names: impl IntoIterator<Item = &'a String>) -> Vec<World> {
        let names: Vec<&String> = names.into_iter().collect();
        let worlds = [World::P2, World::P3].into_iter();
        let among = |world| names.iter().any(|it| World::of_export(it) == Some(world));
        worlds.filter(|world| among(*world)).collect()
    }

    /// Finds the versions of WASI in which this middleware can stand before what is behind it.
    fn fits(&self, behind: &BTreeSet<String>, next: &Part) -> Result<Vec<World>> {
        const REMEDY: &str = "middleware imports wasi:http/incoming-handler and exports it (0.2), or wasi:http/handler \
                              (0.3): build it for such a world";
        let imports = Part::worlds(&self.info.imports);
        let exports = Part::worlds(&self.info.interfaces);
        ensure!(
            !imports.is_empty(),
            "it imports no wasi:http handler, so that no request would get to the application; {REMEDY}"
        );
        ensure!(
            !exports.is_empty(),
            "it exports no wasi:http handler, so that no request would get to it; {REMEDY}"
        );
        let both = imports.iter().filter(|world| exports.contains(world));
        let mut own = both.copied().peekable();
        ensure!(
            own.peek().is_some(),
            "it takes requests of WASI {} and hands on those of WASI {}, which cannot become each other; {REMEDY}",
            wasi_versions(&exports),
            wasi_versions(&imports)
        );
        let offered = Part::worlds(behind);
        ensure!(
            !offered.is_empty(),
            "`{}` behind it exports no wasi:http handler",
            next.name.display()
        );
        let own: Vec<World> = own.collect();
        let common = own.iter().filter(|world| offered.contains(world));
        let common: Vec<World> = common.copied().collect();
        ensure!(
            !common.is_empty(),
            "it is of WASI {}, and `{}` behind it of WASI {}; build both for the same",
            wasi_versions(&own),
            next.name.display(),
            wasi_versions(&offered)
        );
        Ok(common)
    }

    /// Says which imports of this middleware are met by what can be seen of those behind it, and what can be seen of
    /// it and them.
    fn put_before(
        &self,
        behind: &BTreeSet<String>,
        next: &Part,
    ) -> Result<(Met, BTreeSet<String>)> {
        let worlds = self.fits(behind, next)?;
        let mut met = Met::new();
        for import in &self.info.imports {
            if let Some(export) = behind.iter().find(|export| is_met_by(import, export)) {
                met.insert(import.clone(), export.clone());
            }
        }
        let own = self.info.interfaces.iter();
        let own = own.filter(|name| World::of_export(name).is_none_or(|it| worlds.contains(&it)));
        let mut visible: BTreeSet<String> = own.cloned().collect();
        for name in behind {
            // There is no way in but by the middleware.
            if World::of_export(name).is_some() || name == websocket::HANDLER {
                continue;
            }
            ensure!(
                visible.insert(name.clone()) || met.values().any(|export| export == name),
                "it exports `{name}`, as does `{}` behind it, which nobody could call any more; leave it out, or \
                 import it too",
                next.name.display()
            );
        }
        Ok((met, visible))
    }

    /// Sees that all imports were found.
    fn check_all<'a>(&self, imports: Imports<'a>) -> Result<Imports<'a>> {
        ensure!(
            imports.interfaces.len() == self.info.imports.len(),
            "it imports something behind its code, and cannot be composed"
        );
        Ok(imports)
    }
}

fn wasi_versions(worlds: &[World]) -> String {
    let names = worlds.iter().map(|world| match world {
        World::P2 => "0.2",
        World::P3 => "0.3",
    });
    names.collect::<Vec<_>>().join(" and ")
}

/// These exports, the instances of these numbers, are there for whoever is put in front.
type Exports = BTreeMap<String, u32>;

/// `Met` imports of a component, by the names that it has for them, are what another exports by these names.
type Met = BTreeMap<String, String>;

/// A `Composition` writes a component that has others inside.
struct Composition<'a> {
    writer: SectionWriter,
    importer: Importer<'a>,
    imports: &'a [Imports<'a>],
}

impl<'a> Composition<'a> {
    /// Adds an instance of the component of this number, some of whose imports are met by these exports, and returns
    /// what it exports.
    fn instance(
        &mut self,
        number: usize,
        part: &Part,
        met: &Met,
        behind: &Exports,
    ) -> Result<Exports> {
        let mut arguments = Vec::new();
        for (at, interface) in self.imports[number].interfaces.iter().enumerate() {
            let export = met.get(interface.name).and_then(|name| behind.get(name));
            let instance = match export {
                Some(export) if World::of_export(interface.name).is_some() => {
                    self.handler(number, at, *export)?
                }
                Some(export) => *export,
                None => self.importer.instance(interface.name)?,
            };
            arguments.push((interface.name, ComponentExportKind::Instance, instance));
        }
        let instance = self.writer.instance(&part.binary, arguments);
        let exports = part.info.interfaces.iter().map(|name| {
            let kind = ComponentExportKind::Instance;
            (name.clone(), self.writer.alias(instance, name, kind))
        });
        Ok(exports.collect())
    }

    /// Makes a handler as this import wants it, of one that another component exports: that need not name the types
    /// that it uses.
    fn handler(&mut self, number: usize, import: usize, export: u32) -> Result<u32> {
        let imports = &self.imports[number];
        let mut items = Vec::new();
        for (name, member) in imports.members(&imports.interfaces[import])? {
            let kind = match member {
                Member::Function => ComponentExportKind::Func,
                _ => ComponentExportKind::Type,
            };
            let index = match member {
                Member::TypeOf(interface, of) => {
                    let importer = &mut self.importer;
                    importer.type_of(number, interface, of, &mut self.writer)?
                }
                _ => self.writer.alias(export, name, kind),
            };
            items.push((name, kind, index));
        }
        Ok(self.writer.together(items))
    }
}

/// Says whether an export is what this import asks for: the same, or another version of it that is compatible.
fn is_met_by(import: &str, export: &str) -> bool {
    match World::of_export(import) {
        Some(world) => World::of_export(export) == Some(world),
        None => track(import) == track(export),
    }
}

/// Validates what was composed, but for its code, which the engine validates.
fn validate(binary: &[u8]) -> Result<()> {
    let mut validator = Validator::new_with_features(WasmFeatures::all());
    for payload in Parser::new(0).parse_all(binary) {
        let valid = payload.and_then(|payload| validator.payload(&payload).map(drop));
        valid.map_err(|error| {
            anyhow!(
                "it cannot be composed with its middleware: {}; build them against the same versions of what they \
                 import",
                error.message()
            )
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
