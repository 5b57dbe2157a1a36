//! This file finds the types of WASI's streams among what a component imports. With them the state module can take over
//! a standard stream, and close one.

use anyhow::Result;
use wasm_encoder::{Alias, ComponentAliasSection, ComponentExportKind, ComponentTypeSection};
use wasmparser::component_types::{ComponentAnyTypeId, ComponentEntityType};
use wasmparser::types::TypesRef;
use wasmparser::{ComponentAlias, ComponentExternalKind, ComponentTypeRef, Payload};

/// The interface has this name, whatever its last number.
const INTERFACE: &str = "wasi:io/streams@0.2.";

/// The types have these names there: of streams to write to, and of streams to read from.
const NAMES: [&str; 2] = ["output-stream", "input-stream"];

/// `StreamTypes` says where a component has the types of streams.
#[derive(Clone, Copy, Default)]
pub struct StreamTypes {
    /// This instance exports them.
    instance: u32,
    /// It exports these of [`NAMES`].
    has: [bool; 2],
}

impl StreamTypes {
    /// Lists the types that there are, as numbers of [`NAMES`].
    pub fn each(self) -> impl Iterator<Item = usize> {
        (0..NAMES.len()).filter(move |kind| self.has[*kind])
    }

    pub fn count(self) -> u32 {
        self.each().count() as u32
    }

    /// Names the types, in their order.
    pub fn append_aliases(self, aliases: &mut ComponentAliasSection) {
        for kind in self.each() {
            aliases.alias(Alias::InstanceExport {
                instance: self.instance,
                kind: ComponentExportKind::Type,
                name: NAMES[kind],
            });
        }
    }

    /// Appends types of functions that take over a stream, two types for each: the first aliases are these types.
    pub fn append_functions(self, types: &mut ComponentTypeSection, aliases: u32, first: u32) {
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

/// A `Finder` counts the instances that a component has, and looks for the one of streams.
#[derive(Default)]
pub struct Finder {
    count: u32,
    found: Vec<u32>,
}

impl Finder {
    pub fn read(&mut self, payload: &Payload<'_>) -> Result<()> {
        match payload {
            Payload::ComponentImportSection(imports) => {
                for import in imports.clone() {
                    let import = import?;
                    if let ComponentTypeRef::Instance(_) = import.ty {
                        if import.name.name.starts_with(INTERFACE) {
                            self.found.push(self.count);
                        }
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

    /// Gives the types, where it is clear which they are.
    pub fn found(&self, types: TypesRef<'_>) -> StreamTypes {
        let [instance] = self.found[..] else {
            return StreamTypes::default();
        };
        let exports = &types[types.component_instance_at(instance)].exports;
        let has = NAMES.map(|name| {
            let entity = exports.get(name).map(|export| export.ty);
            matches!(
                entity,
                Some(ComponentEntityType::Type {
                    created: ComponentAnyTypeId::Resource(_),
                    ..
                })
            )
        });
        StreamTypes { instance, has }
    }
}
