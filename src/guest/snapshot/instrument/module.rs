//! This file finds the state of a core module, and says whether all of it can be restored: it has an allow-list of
//! sections, types and operators.

use super::{FORGET, PREFIX, operators};
use anyhow::{Result, bail, ensure};
use wasm_encoder::ValType;
use wasmparser::{ExternalKind, Payload, RefType, TypeRef};

/// A `ModuleState` lists the state of a core module that is not in its memories, and the memories.
#[derive(Default)]
pub struct ModuleState {
    /// The module defines these mutable globals, by their index.
    pub globals: Vec<(u32, ValType)>,
    /// The module defines these memories; each may have addresses of 64 bits.
    pub memories: Vec<(u32, bool)>,
    pub imported_globals: u32,
    pub imported_memories: u32,
    /// The module exports [`super::FORGET`], a function without parameters and results.
    pub forgets_directories: bool,
    /// The module runs this function when it is instantiated.
    pub start: Option<u32>,
    /// The module has something of its own: a memory, a table, a global, or contents for such.
    pub has_own: bool,
    /// Go's runtime asks for the time and more when it begins.
    pub is_go: bool,
    /// Each type is that of a function without parameters and results, or is not.
    plain_types: Vec<bool>,
    /// Each function has this type.
    functions: Vec<u32>,
}

impl ModuleState {
    pub fn read(&mut self, payload: &Payload<'_>) -> Result<()> {
        match payload {
            Payload::Version { .. }
            | Payload::DataCountSection { .. }
            | Payload::CodeSectionStart { .. }
            | Payload::End(_) => {}
            Payload::StartSection { func, .. } => self.start = Some(*func),
            Payload::ElementSection(_) | Payload::DataSection(_) => self.has_own = true,
            Payload::TypeSection(types) => {
                for ty in types.clone().into_iter_err_on_gc_types() {
                    let Ok(ty) = ty else {
                        bail!("it has types of garbage-collected objects");
                    };
                    let plain = ty.params().is_empty() && ty.results().is_empty();
                    self.plain_types.push(plain);
                }
            }
            Payload::FunctionSection(functions) => {
                for ty in functions.clone() {
                    self.functions.push(ty?);
                }
            }
            Payload::ImportSection(imports) => {
                for import in imports.clone().into_imports() {
                    self.import(import?.ty)?;
                }
            }
            Payload::TableSection(tables) => {
                self.has_own = true;
                for table in tables.clone() {
                    table_of(table?.ty)?;
                }
            }
            Payload::GlobalSection(globals) => {
                self.has_own = true;
                for (number, global) in (self.imported_globals..).zip(globals.clone()) {
                    let ty = global?.ty;
                    ensure!(!ty.shared, "it shares globals");
                    operators::value(ty.content_type)?;
                    if ty.mutable {
                        self.globals.push((number, number_type(ty.content_type)?));
                    }
                }
            }
            Payload::MemorySection(memories) => {
                self.has_own = true;
                for (number, memory) in (self.imported_memories..).zip(memories.clone()) {
                    let memory = memory?;
                    ensure!(!memory.shared, "it shares memory");
                    ensure!(
                        memory.page_size_log2.is_none(),
                        "its pages are of another size"
                    );
                    self.memories.push((number, memory.memory64));
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports.clone() {
                    let export = export?;
                    let is_ours = export.name.starts_with(PREFIX);
                    ensure!(!is_ours, "it has exports of the names that are added here");
                    let forgets = export.name == FORGET && export.kind == ExternalKind::Func;
                    self.forgets_directories |= forgets && self.is_plain(export.index);
                }
            }
            Payload::CustomSection(section) => self.is_go |= section.name() == "go:buildid",
            Payload::CodeSectionEntry(body) => {
                for local in body.get_locals_reader()? {
                    operators::value(local?.1)?;
                }
                for operator in body.get_operators_reader()? {
                    operators::validate(&operator?)?;
                }
            }
            Payload::TagSection(_) => bail!("it throws or catches exceptions"),
            _ => bail!("it has a module with a section that is not known here"),
        }
        Ok(())
    }

    /// Says whether a function has no parameters and no results.
    fn is_plain(&self, function: u32) -> bool {
        let ty = self.functions.get(function as usize);
        let plain = ty.and_then(|ty| self.plain_types.get(*ty as usize));
        plain.copied().unwrap_or_default()
    }

    fn import(&mut self, ty: TypeRef) -> Result<()> {
        match ty {
            TypeRef::Func(ty) => self.functions.push(ty),
            TypeRef::Table(ty) => table_of(ty)?,
            TypeRef::Global(_) => self.imported_globals += 1,
            TypeRef::Memory(_) => self.imported_memories += 1,
            TypeRef::Tag(_) => bail!("it throws or catches exceptions"),
            TypeRef::FuncExact(_) => bail!("it imports what is not known here"),
        }
        Ok(())
    }
}

/// Accepts tables of functions only: those are the same in each instance, and no operator on the list changes a
/// table.
fn table_of(ty: wasmparser::TableType) -> Result<()> {
    let functions = ty.element_type == RefType::FUNCREF;
    ensure!(functions, "it has tables of other things than functions");
    ensure!(!ty.shared, "it shares tables");
    Ok(())
}

fn number_type(ty: wasmparser::ValType) -> Result<ValType> {
    Ok(match ty {
        wasmparser::ValType::I32 => ValType::I32,
        wasmparser::ValType::I64 => ValType::I64,
        wasmparser::ValType::F32 => ValType::F32,
        wasmparser::ValType::F64 => ValType::F64,
        wasmparser::ValType::V128 => ValType::V128,
        _ => bail!("it has globals that are no numbers"),
    })
}
