//! This file writes the imports that the components of a chain share. Where several import the same interface, or
//! versions of it that semantic versioning has satisfied by the newest, they share one import, which has what each of
//! them asks for: so a request is the same thing to all of them.

use super::imports::{Imports, track, version};
use super::sections::SectionWriter;
use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, HashMap, HashSet};
use wasm_encoder::reencode::{Reencode, ReencodeComponent};
use wasm_encoder::{
    Alias, ComponentExportKind, ComponentOuterAliasKind, ComponentTypeRef, InstanceType, TypeBounds,
};
use wasmparser::{ComponentType, InstanceTypeDeclaration};

/// A `Shared` import is one of what is composed. It is named by the newest of the versions that are asked for.
#[derive(Default)]
struct Shared<'a> {
    name: &'a str,
    /// These components import it, by their numbers, as the interfaces of these numbers.
    by: Vec<(usize, usize)>,
    state: State,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Due,
    /// What it uses is imported first.
    Begun,
    /// The interface is the instance of this number.
    Imported(u32),
}

/// An `Importer` writes the imports that the components of a chain share.
pub struct Importer<'a> {
    components: &'a [Imports<'a>],
    shared: BTreeMap<String, Shared<'a>>,
    /// Types of instances have these numbers in what is composed.
    types: HashMap<(u32, &'a str), u32>,
}

impl<'a> Importer<'a> {
    /// Plans the imports of these components. Some interfaces, by the numbers of their components and their names,
    /// are met by other components.
    pub fn new(components: &'a [Imports<'a>], is_met: impl Fn(usize, &str) -> bool) -> Self {
        let mut shared: BTreeMap<String, Shared<'a>> = BTreeMap::new();
        for (number, component) in components.iter().enumerate() {
            for (at, interface) in component.interfaces.iter().enumerate() {
                if is_met(number, interface.name) {
                    continue;
                }
                let it = shared.entry(track(interface.name)).or_default();
                if it.by.is_empty() || version(interface.name) > version(it.name) {
                    it.name = interface.name;
                }
                it.by.push((number, at));
            }
        }
        Importer {
            components,
            shared,
            types: HashMap::new(),
        }
    }

    /// Writes all imports.
    pub fn write(&mut self, writer: &mut SectionWriter) -> Result<()> {
        let tracks: Vec<String> = self.shared.keys().cloned().collect();
        for track in tracks {
            self.import(&track, writer)?;
        }
        Ok(())
    }

    /// Returns the number of the instance that meets an import of this name.
    pub fn instance(&self, name: &str) -> Result<u32> {
        match self.shared.get(&track(name)).map(|shared| shared.state) {
            Some(State::Imported(instance)) => Ok(instance),
            _ => bail!("`{name}` is used, and not imported"),
        }
    }

    /// Returns the number of a type that an interface of this component exports.
    pub fn type_of(
        &mut self,
        component: usize,
        interface: usize,
        name: &'a str,
        writer: &mut SectionWriter,
    ) -> Result<u32> {
        let interface = &self.components[component].interfaces[interface];
        let instance = self.instance(interface.name)?;
        Ok(*self
            .types
            .entry((instance, name))
            .or_insert_with(|| writer.alias(instance, name, ComponentExportKind::Type)))
    }

    /// Imports what is on this track, after what it uses.
    fn import(&mut self, track_name: &str, writer: &mut SectionWriter) -> Result<u32> {
        let shared = self.shared.get_mut(track_name);
        let shared = shared.with_context(|| format!("`{track_name}` is used, and not imported"))?;
        let (name, by) = match shared.state {
            State::Imported(instance) => return Ok(instance),
            State::Begun => bail!("`{}` uses itself", shared.name),
            State::Due => (shared.name, shared.by.clone()),
        };
        shared.state = State::Begun;
        for (component, interface) in &by {
            let imports = &self.components[*component];
            for used in imports.used(&imports.interfaces[*interface])? {
                self.import(&track(imports.interfaces[used].name), writer)?;
            }
        }
        let mut merged = Merged::default();
        for (component, interface) in by {
            let added = merged.add(self, component, interface, writer);
            added.with_context(|| format!("import `{name}`"))?;
        }
        let instance = writer.import(name, &merged.ty);
        if let Some(shared) = self.shared.get_mut(track_name) {
            shared.state = State::Imported(instance);
        }
        Ok(instance)
    }
}

/// `Merged` is the type of an interface that has what several versions of it have.
#[derive(Default)]
struct Merged<'a> {
    ty: InstanceType,
    /// The interface's types have these numbers by the names that it exports them by.
    types: HashMap<&'a str, u32>,
    functions: HashSet<&'a str>,
}

impl<'a> Merged<'a> {
    /// Adds what this component asks for, and is not there yet.
    fn add(
        &mut self,
        importer: &mut Importer<'a>,
        component: usize,
        interface: usize,
        writer: &mut SectionWriter,
    ) -> Result<()> {
        let imports = &importer.components[component];
        let mut renumbered = Renumbered::default();
        for declaration in &imports.interfaces[interface].declarations {
            match declaration {
                InstanceTypeDeclaration::Type(
                    ty @ (ComponentType::Defined(_) | ComponentType::Func(_)),
                ) => {
                    let added = renumbered.parse_component_type(self.ty.ty(), ty.clone());
                    added.map_err(|error| anyhow::anyhow!("{error}"))?;
                    renumbered.types.push(self.last());
                }
                InstanceTypeDeclaration::Alias(alias) => {
                    let (of, name) = imports.aliased(alias)?;
                    let index = importer.type_of(component, of, name, writer)?;
                    self.ty.alias(Alias::Outer {
                        kind: ComponentOuterAliasKind::Type,
                        count: 1,
                        index,
                    });
                    renumbered.types.push(self.last());
                }
                InstanceTypeDeclaration::Export { name, ty } => {
                    self.export(name.name, *ty, &mut renumbered)?;
                }
                _ => bail!("it has more than functions and types"),
            }
        }
        Ok(())
    }

    fn export(
        &mut self,
        name: &'a str,
        ty: wasmparser::ComponentTypeRef,
        renumbered: &mut Renumbered,
    ) -> Result<()> {
        match ty {
            wasmparser::ComponentTypeRef::Type(bounds) => {
                if !self.types.contains_key(name) {
                    let bounds = match bounds {
                        wasmparser::TypeBounds::Eq(index) => {
                            TypeBounds::Eq(renumbered.component_type_index(index))
                        }
                        wasmparser::TypeBounds::SubResource => TypeBounds::SubResource,
                    };
                    self.ty.export(name, ComponentTypeRef::Type(bounds));
                    self.types.insert(name, self.last());
                }
                renumbered.types.push(self.types[name]);
            }
            wasmparser::ComponentTypeRef::Func(index) => {
                if self.functions.insert(name) {
                    let index = renumbered.component_type_index(index);
                    self.ty.export(name, ComponentTypeRef::Func(index));
                }
            }
            _ => bail!("`{name}` is neither a function nor a type"),
        }
        Ok(())
    }

    /// Returns the number of the type that was added last.
    fn last(&self) -> u32 {
        self.ty.type_count() - 1
    }
}

/// The types of one version have these numbers in what is merged.
#[derive(Default)]
struct Renumbered {
    types: Vec<u32>,
}

impl Reencode for Renumbered {
    type Error = std::convert::Infallible;
}

impl ReencodeComponent for Renumbered {
    fn component_type_index(&mut self, index: u32) -> u32 {
        // What is not there is refused when the whole is validated.
        self.types.get(index as usize).copied().unwrap_or(u32::MAX)
    }
}
