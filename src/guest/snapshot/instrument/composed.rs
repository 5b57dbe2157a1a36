//! A composed component has others inside that have the code: an application and what is put before it. Each of them
//! gets a state module of its own, and what those export the whole exports too, by a name that says which part it is of.
//!
//! It has an allow-list, too: each part stands by itself and is instantiated once, and beside it there is nothing that
//! has state: what the engine puts between parts has neither memories nor globals of its own. Parts pass each other
//! resources of the host, and lend each other none: so a part never has more handles than the host has resources, which
//! is how it is known how many numbers are to be put in order.

use super::state_scan::{Level, anywhere, inner};
use super::{HANDLE, HANDLE_IN_ORDER, OWN, instrument_part, part_name, sections};
use crate::guest::component::info::World;
use anyhow::{Context, Result, bail, ensure};
use std::collections::{HashMap, HashSet};
use wasm_encoder::{
    Alias, Component, ComponentAliasSection, ComponentExportKind, ComponentExportSection,
    RawSection,
};
use wasmparser::component_types::{ComponentDefinedType, ComponentEntityType, ComponentValType};
use wasmparser::types::TypesRef;
use wasmparser::{
    BinaryReader, ComponentAlias, ComponentExportSectionReader, ComponentExternalKind,
    ComponentInstance, ComponentTypeRef, Parser, Payload, Validator, WasmFeatures,
};

/// The sections have these numbers (component model, Binary.md).
const COMPONENT: u8 = 4;
const EXPORTS: u8 = 11;

const OTHER: &str = "its components give each other something beside interfaces";

/// No component has more parts.
pub const MOST_PARTS: usize = 16;

/// A `Composition` is what stands in the outermost component.
#[derive(Default)]
struct Composition {
    /// These components inside have code, by their numbers.
    with_code: Vec<u32>,
    components: u32,
    functions: u32,
    instances: u32,
    /// These instances are imported.
    imported: HashSet<u32>,
    /// Each of these instances is one of the component of that number.
    made: Vec<(u32, u32)>,
    /// These instances are what those export, by their numbers.
    exported: HashMap<u32, u32>,
    /// These instances are given to a part.
    passed: Vec<u32>,
    /// The handler is this instance.
    handler: Option<u32>,
}

/// Adds to each part of a composed component what restores it; `None` where the component has code of its own, or no
/// others inside that have some.
pub fn instrument(binary: &[u8]) -> Result<Option<Vec<u8>>> {
    let mut has_parts = false;
    for section in sections(binary) {
        let (id, data) = section?;
        match id {
            super::COMPONENT_MODULE => return Ok(None),
            COMPONENT => has_parts |= has_code(data)?,
            _ => {}
        }
    }
    if !has_parts {
        return Ok(None);
    }
    let composition = Composition::of(binary)?;
    let mut component = Component::new();
    let (mut number, mut parts) = (0, HashMap::new());
    for section in sections(binary) {
        let (id, data) = section?;
        if id != COMPONENT {
            component.section(&RawSection { id, data });
            continue;
        }
        if composition.with_code.contains(&number) {
            let part = instrument_part(data)?;
            component.section(&RawSection { id, data: &part });
            parts.insert(number, part);
        } else {
            component.section(&RawSection { id, data });
        }
        number += 1;
    }
    composition.append_exports(&parts, &mut component)?;
    Ok(Some(component.finish()))
}

/// Says whether a component has modules, or others inside that have.
fn has_code(component: &[u8]) -> Result<bool> {
    for payload in Parser::new(0).parse_all(component) {
        if let Payload::ModuleSection { .. } = payload? {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Composition {
    fn of(binary: &[u8]) -> Result<Composition> {
        let mut composition = Composition::default();
        // What stands in the parts is looked at with each of them.
        let mut validator = Validator::new_with_features(WasmFeatures::all());
        let mut open = vec![Level::Outermost];
        for payload in Parser::new(0).parse_all(binary) {
            let payload = payload?;
            let level = *open.last().context("it goes on behind its end")?;
            match level {
                Level::Outermost => composition.read(&payload, binary)?,
                _ if composition.is_in_code() => {}
                _ => inner(&payload)?,
            }
            match payload {
                Payload::ModuleSection { .. } => open.push(Level::Module),
                Payload::ComponentSection { .. } => open.push(Level::Inner),
                Payload::End(_) => {
                    if level == Level::Outermost {
                        let types = validator.types(0).context("nothing is known of it")?;
                        composition.judge(types)?;
                    }
                    open.pop();
                }
                _ => {}
            }
            validator
                .payload(&payload)
                .map_err(|error| anyhow::anyhow!("{}", error.message()))?;
        }
        Ok(composition)
    }

    /// Says whether the component that was begun last has code.
    fn is_in_code(&self) -> bool {
        let last = self.with_code.last();
        last.is_some_and(|last| *last + 1 == self.components)
    }

    fn read(&mut self, payload: &Payload<'_>, binary: &[u8]) -> Result<()> {
        match payload {
            Payload::ComponentSection {
                unchecked_range, ..
            } => {
                let inside = binary.get(unchecked_range.clone());
                if has_code(inside.context("a component is cut off")?)? {
                    self.with_code.push(self.components);
                }
                self.components += 1;
            }
            Payload::ComponentImportSection(imports) => {
                for import in imports.clone() {
                    if let ComponentTypeRef::Instance(_) = import?.ty {
                        self.imported.insert(self.instances);
                        self.instances += 1;
                    }
                }
            }
            Payload::ComponentInstanceSection(instances) => {
                for instance in instances.clone() {
                    self.instance(&instance?)?;
                }
            }
            Payload::ComponentAliasSection(aliases) => {
                for alias in aliases.clone() {
                    if let ComponentAlias::InstanceExport {
                        kind: ComponentExternalKind::Instance,
                        instance_index,
                        ..
                    } = alias?
                    {
                        self.exported.insert(self.instances, instance_index);
                        self.instances += 1;
                    }
                }
            }
            Payload::ComponentExportSection(exports) => {
                for export in exports.clone() {
                    let export = export?;
                    let name = export.name.name;
                    let is_ours = OWN.iter().any(|own| name.starts_with(own));
                    ensure!(!is_ours, "it has exports of the names that are added here");
                    match export.kind {
                        ComponentExternalKind::Instance => self.instances += 1,
                        ComponentExternalKind::Func | ComponentExternalKind::Type => {}
                        _ => bail!("it exports code"),
                    }
                    if World::of_export(name).is_some() {
                        self.handler = Some(export.index);
                    }
                }
            }
            _ => {}
        }
        match payload {
            Payload::ComponentExportSection(_) => Ok(()),
            payload => anywhere(payload),
        }
    }

    fn instance(&mut self, instance: &ComponentInstance<'_>) -> Result<()> {
        if let ComponentInstance::Instantiate {
            component_index,
            args,
        } = instance
        {
            self.made.push((self.instances, *component_index));
            for argument in args {
                match argument.kind {
                    ComponentExternalKind::Instance => self.passed.push(argument.index),
                    ComponentExternalKind::Type => {}
                    _ => bail!("{OTHER}"),
                }
            }
        }
        self.instances += 1;
        Ok(())
    }

    /// Says why the parts are not known to be restored with what there is beside them.
    fn judge(&mut self, types: TypesRef<'_>) -> Result<()> {
        self.functions = types.component_function_count();
        // What is counted here is what there is.
        ensure!(
            types.component_instance_count() == self.instances
                && types.component_count() == self.components,
            "it has instances from elsewhere"
        );
        for component in &self.with_code {
            let made = self.made.iter().filter(|(_, of)| of == component);
            ensure!(
                made.count() == 1,
                "it has components inside of which there is not one instance each"
            );
        }
        ensure!(
            self.with_code.len() <= MOST_PARTS,
            "it consists of more than {MOST_PARTS} components"
        );
        for instance in self.passed.iter().filter(|it| !self.imported.contains(it)) {
            let exports = &types[types.component_instance_at(*instance)].exports;
            for export in exports.values() {
                match export.ty {
                    ComponentEntityType::Func(function) => {
                        let mut parameters = types[function].params.iter();
                        let lends = parameters.any(|(_, ty)| lends(types, *ty));
                        ensure!(!lends, "its components lend each other resources");
                    }
                    ComponentEntityType::Type { .. } => {}
                    _ => bail!("{OTHER}"),
                }
            }
        }
        Ok(())
    }

    /// Has the whole export what its parts do, in the order in which they are made; of what answers requests it exports
    /// that of the part which does.
    fn append_exports(
        &self,
        parts: &HashMap<u32, Vec<u8>>,
        component: &mut Component,
    ) -> Result<()> {
        let front = self.handler.and_then(|handler| self.exported.get(&handler));
        let mut aliases = ComponentAliasSection::new();
        let mut names = Vec::new();
        let made = self.made.iter();
        let made = made.filter(|(_, component)| self.with_code.contains(component));
        for (part, (instance, component)) in made.enumerate() {
            let binary = parts.get(component).context("a part was lost")?;
            for own in own_exports(binary)? {
                if [HANDLE, HANDLE_IN_ORDER].contains(&own) && front != Some(instance) {
                    continue;
                }
                names.push(part_name(own, part));
                aliases.alias(Alias::InstanceExport {
                    instance: *instance,
                    kind: ComponentExportKind::Func,
                    name: own,
                });
            }
        }
        let mut exports = ComponentExportSection::new();
        for (function, name) in (self.functions..).zip(&names) {
            exports.export(name, ComponentExportKind::Func, function, None);
        }
        component.section(&aliases).section(&exports);
        Ok(())
    }
}

/// Lists what was added to a part.
fn own_exports(part: &[u8]) -> Result<Vec<&'static str>> {
    let mut own = Vec::new();
    for section in sections(part) {
        let (id, data) = section?;
        if id == EXPORTS {
            let exports = BinaryReader::new(data, 0);
            for export in ComponentExportSectionReader::new(exports)? {
                let name = export?.name.name;
                own.extend(OWN.into_iter().find(|own| *own == name));
            }
        }
    }
    ensure!(!own.is_empty(), "a part exports nothing");
    Ok(own)
}

/// Says whether a value of this type may have handles to resources that are lent. What is not known to have none may.
fn lends(types: TypesRef<'_>, ty: ComponentValType) -> bool {
    let ComponentValType::Type(id) = ty else {
        return false;
    };
    !matches!(types[id], ComponentDefinedType::Own(_))
}

#[cfg(test)]
mod tests;
