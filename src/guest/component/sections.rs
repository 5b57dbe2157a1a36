//! A `SectionWriter` writes a component that consists of others, and counts what there is in it. Each thing has a section of
//! its own, so that each may use what came before.

use wasm_encoder::{
    Alias, Component, ComponentAliasSection, ComponentExportKind, ComponentExportSection,
    ComponentImportSection, ComponentInstanceSection, ComponentSectionId, ComponentTypeRef,
    ComponentTypeSection, InstanceType, RawSection,
};

#[derive(Default)]
pub struct SectionWriter {
    component: Component,
    components: u32,
    functions: u32,
    instances: u32,
    types: u32,
}

impl SectionWriter {
    /// Imports an interface of this type, as an instance of the number that is returned.
    pub fn import(&mut self, name: &str, ty: &InstanceType) -> u32 {
        let mut types = ComponentTypeSection::new();
        types.instance(ty);
        let mut imports = ComponentImportSection::new();
        imports.import(name, ComponentTypeRef::Instance(next(&mut self.types)));
        self.component.section(&types).section(&imports);
        next(&mut self.instances)
    }

    /// Takes what an instance exports, and returns its number.
    pub fn alias(&mut self, instance: u32, name: &str, kind: ComponentExportKind) -> u32 {
        let mut aliases = ComponentAliasSection::new();
        aliases.alias(Alias::InstanceExport {
            instance,
            kind,
            name,
        });
        self.component.section(&aliases);
        match kind {
            ComponentExportKind::Func => next(&mut self.functions),
            ComponentExportKind::Type => next(&mut self.types),
            _ => next(&mut self.instances),
        }
    }

    /// Adds a component, and one instance of it, whose number is returned.
    pub fn instance(
        &mut self,
        binary: &[u8],
        arguments: Vec<(&str, ComponentExportKind, u32)>,
    ) -> u32 {
        self.component.section(&RawSection {
            id: ComponentSectionId::Component.into(),
            data: binary,
        });
        let mut instances = ComponentInstanceSection::new();
        instances.instantiate(next(&mut self.components), arguments);
        self.component.section(&instances);
        next(&mut self.instances)
    }

    /// Puts things together to an instance.
    pub fn together(&mut self, items: Vec<(&str, ComponentExportKind, u32)>) -> u32 {
        let mut instances = ComponentInstanceSection::new();
        instances.export_items(items);
        self.component.section(&instances);
        next(&mut self.instances)
    }

    pub fn export(&mut self, name: &str, instance: u32) {
        let mut exports = ComponentExportSection::new();
        exports.export(name, ComponentExportKind::Instance, instance, None);
        self.component.section(&exports);
        // What is exported has a number of its own.
        next(&mut self.instances);
    }

    pub fn finish(self) -> Vec<u8> {
        self.component.finish()
    }
}

/// Counts one more, and returns the number that it has.
fn next(count: &mut u32) -> u32 {
    *count += 1;
    *count - 1
}
