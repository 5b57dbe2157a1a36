//! This file finds the types of the standard streams among what a component imports: what `get-stdout` and the like
//! give has a type of its own for each, where the component imports several versions of the interfaces. With them the
//! state module can take over a standard stream, and close one. The network is one of them here.

use anyhow::Result;
use wasm_encoder::{Alias, ComponentAliasSection, ComponentExportKind, ComponentTypeSection};
use wasmparser::component_types::{
    ComponentAnyTypeId, ComponentDefinedType, ComponentEntityType, ComponentValType, ResourceId,
};
use wasmparser::types::TypesRef;
use wasmparser::{ComponentAlias, ComponentExternalKind, ComponentTypeRef, Payload};

/// The interfaces that have the types have these names, whatever their last number.
const TYPES: [&str; 2] = ["wasi:io/streams@0.2.", "wasi:sockets/network@0.2."];

/// The interfaces that give the streams have these names, whatever their last number, and their functions these: in
/// the order of [`StandingResource`](super::super::StandingResource).
const GIVERS: [(&str, &str); KINDS] = [
    ("wasi:cli/stdout@0.2.", "get-stdout"),
    ("wasi:cli/stderr@0.2.", "get-stderr"),
    ("wasi:cli/stdin@0.2.", "get-stdin"),
    ("wasi:sockets/instance-network@0.2.", "instance-network"),
];

const KINDS: usize = 4;

/// `StandingTypes` says where a component has the type of each standard stream.
#[derive(Clone, Default)]
pub struct StandingTypes([Option<TypePlace>; KINDS]);

/// A type is what this instance exports under this name.
#[derive(Clone)]
struct TypePlace {
    instance: u32,
    name: String,
}

impl StandingTypes {
    /// Lists the streams whose types there are, by their numbers.
    pub fn each(&self) -> impl Iterator<Item = usize> {
        (0..KINDS).filter(|kind| self.0[*kind].is_some())
    }

    pub fn count(&self) -> u32 {
        self.each().count() as u32
    }

    /// Names the types, in their order.
    pub fn append_aliases(&self, aliases: &mut ComponentAliasSection) {
        for TypePlace { instance, name } in self.0.iter().flatten() {
            aliases.alias(Alias::InstanceExport {
                instance: *instance,
                kind: ComponentExportKind::Type,
                name,
            });
        }
    }

    /// Appends types of functions that take over a stream, two types for each: the first aliases are these types.
    pub fn append_functions(&self, types: &mut ComponentTypeSection, aliases: u32, first: u32) {
        for number in 0..self.count() {
            types.defined_type().own(aliases + number);
            let own = wasm_encoder::ComponentValType::Type(first + 2 * number);
            let number =
                wasm_encoder::ComponentValType::Primitive(wasm_encoder::PrimitiveValType::U32);
            types
                .function()
                .params([("stream", own)])
                .result(Some(number));
        }
    }
}

/// A `Finder` counts the instances that a component has, and looks for those of the streams.
#[derive(Default)]
pub struct Finder {
    count: u32,
    /// These instances may have the types.
    types: Vec<u32>,
    /// These give each of the streams.
    givers: [Vec<u32>; KINDS],
}

impl Finder {
    pub fn read(&mut self, payload: &Payload<'_>) -> Result<()> {
        match payload {
            Payload::ComponentImportSection(imports) => {
                for import in imports.clone() {
                    let import = import?;
                    if let ComponentTypeRef::Instance(_) = import.ty {
                        self.note(import.name.name);
                        self.count += 1;
                    }
                }
            }
            Payload::ComponentInstanceSection(instances) => self.count += instances.count(),
            Payload::ComponentAliasSection(aliases) => {
                for alias in aliases.clone() {
                    let is_instance = matches!(
                        alias?,
                        ComponentAlias::InstanceExport {
                            kind: ComponentExternalKind::Instance,
                            ..
                        }
                    );
                    self.count += u32::from(is_instance);
                }
            }
            Payload::ComponentExportSection(exports) => {
                for export in exports.clone() {
                    let is_instance = export?.kind == ComponentExternalKind::Instance;
                    self.count += u32::from(is_instance);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Notes the next instance where its interface is one of these. Those that give a stream name its type, too.
    fn note(&mut self, interface: &str) {
        let given = GIVERS.iter().position(|(it, _)| interface.starts_with(it));
        if let Some(kind) = given {
            self.givers[kind].push(self.count);
        }
        if given.is_some() || TYPES.iter().any(|it| interface.starts_with(it)) {
            self.types.push(self.count);
        }
    }

    /// Gives the types, where it is clear which they are.
    pub fn found(&self, types: TypesRef<'_>) -> StandingTypes {
        let kinds: [usize; KINDS] = std::array::from_fn(|kind| kind);
        StandingTypes(kinds.map(|kind| {
            let given = |instance: &u32| given(types, *instance, GIVERS[kind].1);
            let mut all = self.givers[kind].iter().map(given);
            let first = all.next()??;
            // Which of two types a stream has that somebody holds, nobody knows.
            let same = all.all(|other| other == Some(first));
            same.then(|| self.place(types, first)).flatten()
        }))
    }

    /// Finds an instance that exports this type.
    fn place(&self, types: TypesRef<'_>, wanted: ResourceId) -> Option<TypePlace> {
        self.types.iter().find_map(|instance| {
            let exports = &types[types.component_instance_at(*instance)].exports;
            let mut exports = exports.iter();
            let (name, _) = exports.find(|(_, export)| exported(export.ty) == Some(wanted))?;
            Some(TypePlace {
                instance: *instance,
                name: name.clone(),
            })
        })
    }
}

/// Returns the type of resource that this is an export of.
fn exported(entity: ComponentEntityType) -> Option<ResourceId> {
    match entity {
        ComponentEntityType::Type {
            created: ComponentAnyTypeId::Resource(id),
            ..
        } => Some(id.resource()),
        _ => None,
    }
}

/// Returns the type of what a function of this instance gives.
fn given(types: TypesRef<'_>, instance: u32, function: &str) -> Option<ResourceId> {
    let exports = &types[types.component_instance_at(instance)].exports;
    let ComponentEntityType::Func(function) = exports.get(function)?.ty else {
        return None;
    };
    let Some(ComponentValType::Type(result)) = types[function].result else {
        return None;
    };
    match types[result] {
        ComponentDefinedType::Own(id) => Some(id.resource()),
        _ => None,
    }
}
