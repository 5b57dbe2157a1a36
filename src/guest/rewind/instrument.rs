//! Rewrites a component so that its instances can be put back as they were: every core module exports the
//! state that it has besides the contents of its memories, and one more module, which knows nothing else, saves
//! that state and restores it. Decides which components that can be done for.

use anyhow::{Context, Result, bail, ensure};
use wasm_encoder::{
    CanonicalFunctionSection, CodeSection, ComponentAliasSection, ComponentExportKind,
    ComponentExportSection, ComponentTypeSection, ConstExpr, EntityType, ExportKind, ExportSection,
    Function, FunctionSection, GlobalSection, GlobalType, ImportSection, InstanceSection,
    MemoryType, Module, ModuleArg, RawSection, TypeSection, ValType,
};
use wasmparser::{
    BinaryReader, ComponentType, ComponentTypeRef, ExportSectionReader, Instance, Operator, Parser,
    Payload, TypeRef, Validator, WasmFeatures,
};

/// What is exported to save the state once, and to restore it again and again.
pub const SAVE: &str = "wasmserve-save";
pub const RESTORE: &str = "wasmserve-restore";

/// Sections by their numbers (WebAssembly core specification, section 5.5.2; component model, Binary.md).
const MODULE_EXPORTS: u8 = 7;
/// Those that come after the exports, the code among them.
const AFTER_EXPORTS: [u8; 5] = [8, 9, 12, 10, 11];
const COMPONENT_MODULE: u8 = 1;

/// The state of a core module that is not in its memories, and the memories.
#[derive(Default)]
struct State {
    /// Mutable globals that it defines, by their index.
    globals: Vec<(u32, ValType)>,
    /// Memories that it defines, each with whether its addresses have 64 bits.
    memories: Vec<(u32, bool)>,
    imported_globals: u32,
    imported_memories: u32,
}

/// What there is in a component.
#[derive(Default)]
struct Survey {
    modules: Vec<State>,
    /// The module that each core instance is made of, where it is made of one.
    instances: Vec<Option<u32>>,
    counts: Counts,
}

/// How many there are of what is referred to by number.
#[derive(Default)]
struct Counts {
    core_functions: u32,
    functions: u32,
    types: u32,
}

/// The same component, with instances that can be put back; an error says why that cannot be.
pub fn instrument(binary: &[u8]) -> Result<Vec<u8>> {
    let survey = Survey::of(binary)?;
    let mut component = wasm_encoder::Component::new();
    let mut modules = survey.modules.iter();
    for section in sections(binary) {
        let (id, data) = section?;
        if id == COMPONENT_MODULE {
            let state = modules.next().context("a module was not seen")?;
            let data = state.exported(data)?;
            component.section(&RawSection { id, data: &data });
        } else {
            component.section(&RawSection { id, data });
        }
    }
    survey.append_keeper(&mut component);
    Ok(component.finish())
}

/// The sections behind the header, which modules and components have alike.
fn sections(binary: &[u8]) -> impl Iterator<Item = Result<(u8, &[u8])>> {
    const HEADER: usize = 8;
    let mut reader = BinaryReader::new(binary.get(HEADER..).unwrap_or_default(), HEADER);
    std::iter::from_fn(move || {
        if reader.eof() {
            return None;
        }
        let section = reader.read_u8().and_then(|id| {
            let length = reader.read_var_u32()? as usize;
            Ok((id, reader.read_bytes(length)?))
        });
        Some(section.map_err(anyhow::Error::from))
    })
}

impl Survey {
    fn of(binary: &[u8]) -> Result<Survey> {
        let mut survey = Survey::default();
        let mut validator = Validator::new_with_features(WasmFeatures::all());
        // Whether each of the parsers that are open reads a component.
        let mut open = vec![true];
        for payload in Parser::new(0).parse_all(binary) {
            let payload = payload?;
            if matches!(payload, Payload::End(_)) {
                if open.len() == 1 {
                    survey.count(&validator)?;
                }
                open.pop();
            }
            validator.payload(&payload)?;
            match payload {
                Payload::ModuleSection { .. } => {
                    ensure!(open.len() == 1, "it has components with modules inside");
                    open.push(false);
                    survey.modules.push(State::default());
                }
                Payload::ComponentSection { .. } => open.push(true),
                payload if open.last() == Some(&false) => {
                    let state = survey.modules.last_mut();
                    state.context("a module was not seen")?.read(payload)?;
                }
                payload if open.len() == 1 => survey.read(payload)?,
                _ => {}
            }
        }
        Ok(survey)
    }

    fn read(&mut self, payload: Payload<'_>) -> Result<()> {
        match payload {
            Payload::ComponentImportSection(imports) => {
                for import in imports {
                    let code = matches!(
                        import?.ty,
                        ComponentTypeRef::Module(_) | ComponentTypeRef::Component(_)
                    );
                    ensure!(!code, "it imports code");
                }
            }
            Payload::ComponentTypeSection(types) => {
                for ty in types {
                    // Handles to them are neither in its memories nor among the host's resources.
                    let resource = matches!(ty?, ComponentType::Resource { .. });
                    ensure!(!resource, "it has resources of its own");
                }
            }
            Payload::InstanceSection(instances) => {
                for instance in instances {
                    self.instances.push(match instance? {
                        Instance::Instantiate { module_index, .. } => Some(module_index),
                        Instance::FromExports(_) => None,
                    });
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn count(&mut self, validator: &Validator) -> Result<()> {
        let types = validator.types(0).context("nothing is known of it")?;
        let modules = types.module_count() as usize;
        ensure!(
            modules == self.modules.len(),
            "it has modules from elsewhere"
        );
        self.counts = Counts {
            core_functions: types.function_count(),
            functions: types.component_function_count(),
            types: types.component_type_count(),
        };
        Ok(())
    }

    /// Appends the module that keeps the state, an instance of it, and what it exports.
    fn append_keeper(&self, component: &mut wasm_encoder::Component) {
        let keeper = RawSection {
            id: COMPONENT_MODULE,
            data: &self.keeper(),
        };
        component.section(&keeper);
        let arguments: Vec<(String, ModuleArg)> = (0..)
            .zip(&self.instances)
            .filter(|(_, module)| module.is_some())
            .map(|(number, _): (u32, _)| (number.to_string(), ModuleArg::Instance(number)))
            .collect();
        let mut instances = InstanceSection::new();
        instances.instantiate(self.modules.len() as u32, arguments);
        component.section(&instances);

        let keeper = self.instances.len() as u32;
        let mut aliases = ComponentAliasSection::new();
        let mut types = ComponentTypeSection::new();
        let mut functions = CanonicalFunctionSection::new();
        let mut exports = ComponentExportSection::new();
        let nothing: [(&str, wasm_encoder::ComponentValType); 0] = [];
        types.function().params(nothing).result(None);
        // Each export is one more function.
        for (number, name) in (0..).zip([SAVE, RESTORE]) {
            aliases.alias(wasm_encoder::Alias::CoreInstanceExport {
                instance: keeper,
                kind: ExportKind::Func,
                name,
            });
            functions.lift(self.counts.core_functions + number, self.counts.types, []);
            let function = self.counts.functions + number;
            exports.export(name, ComponentExportKind::Func, function, None);
        }
        component
            .section(&aliases)
            .section(&types)
            .section(&functions)
            .section(&exports);
    }

    /// A module that imports all the state there is, and copies it to and fro. Memories that have grown are as
    /// small as before when they are asked to grow by nothing: their host knows better (`memory`).
    fn keeper(&self) -> Vec<u8> {
        let mut imports = ImportSection::new();
        let mut own = GlobalSection::new();
        let (mut globals, mut memories) = (Vec::new(), Vec::new());
        for (instance, module) in self.instances.iter().enumerate() {
            let Some(state) = module.and_then(|module| self.modules.get(module as usize)) else {
                continue;
            };
            let instance = instance.to_string();
            for (index, ty) in &state.globals {
                let ty = GlobalType {
                    val_type: *ty,
                    mutable: true,
                    shared: false,
                };
                imports.import(&instance, &global_name(*index), EntityType::Global(ty));
                own.global(ty, &zero(ty.val_type));
                globals.push(ty);
            }
            for (index, memory64) in &state.memories {
                let ty = MemoryType {
                    minimum: 0,
                    maximum: None,
                    memory64: *memory64,
                    shared: false,
                    page_size_log2: None,
                };
                imports.import(&instance, &memory_name(*index), EntityType::Memory(ty));
                memories.push(*memory64);
            }
        }
        let count = globals.len() as u32;
        let (mut save, mut restore) = (Function::new([]), Function::new([]));
        for number in 0..count {
            save.instructions()
                .global_get(number)
                .global_set(count + number);
            restore
                .instructions()
                .global_get(count + number)
                .global_set(number);
        }
        for (number, memory64) in (0..).zip(memories) {
            let mut instructions = restore.instructions();
            match memory64 {
                true => instructions.i64_const(0),
                false => instructions.i32_const(0),
            };
            instructions.memory_grow(number).drop();
        }
        save.instructions().end();
        restore.instructions().end();

        let mut types = TypeSection::new();
        types.ty().function([], []);
        let mut functions = FunctionSection::new();
        functions.function(0).function(0);
        let mut exports = ExportSection::new();
        exports.export(SAVE, ExportKind::Func, 0);
        exports.export(RESTORE, ExportKind::Func, 1);
        let mut code = CodeSection::new();
        code.function(&save).function(&restore);
        let mut module = Module::new();
        module
            .section(&types)
            .section(&imports)
            .section(&functions)
            .section(&own)
            .section(&exports)
            .section(&code);
        module.finish()
    }
}

impl State {
    fn read(&mut self, payload: Payload<'_>) -> Result<()> {
        match payload {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    match import?.ty {
                        TypeRef::Global(_) => self.imported_globals += 1,
                        TypeRef::Memory(_) => self.imported_memories += 1,
                        _ => {}
                    }
                }
            }
            Payload::GlobalSection(globals) => {
                for (number, global) in (self.imported_globals..).zip(globals) {
                    let ty = global?.ty;
                    if ty.mutable {
                        self.globals.push((number, number_type(ty.content_type)?));
                    }
                }
            }
            Payload::MemorySection(memories) => {
                for (number, memory) in (self.imported_memories..).zip(memories) {
                    let memory = memory?;
                    ensure!(!memory.shared, "it shares memory");
                    ensure!(
                        memory.page_size_log2.is_none(),
                        "its pages are of another size"
                    );
                    self.memories.push((number, memory.memory64));
                }
            }
            Payload::CodeSectionEntry(body) => {
                for operator in body.get_operators_reader()? {
                    judge(&operator?)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The same module, which exports its state.
    fn exported(&self, module: &[u8]) -> Result<Vec<u8>> {
        let mut exported = Module::new();
        let mut pending = Some(ExportSection::new());
        for section in sections(module) {
            let (id, data) = section?;
            if id == MODULE_EXPORTS {
                let mut exports = pending.take().context("it exports twice")?;
                for export in ExportSectionReader::new(BinaryReader::new(data, 0))? {
                    let export = export?;
                    exports.export(export.name, kind(export.kind)?, export.index);
                }
                exported.section(&self.with_state(exports));
                continue;
            }
            if AFTER_EXPORTS.contains(&id)
                && let Some(exports) = pending.take()
            {
                exported.section(&self.with_state(exports));
            }
            exported.section(&RawSection { id, data });
        }
        if let Some(exports) = pending {
            exported.section(&self.with_state(exports));
        }
        Ok(exported.finish())
    }

    fn with_state(&self, mut exports: ExportSection) -> ExportSection {
        for (index, _) in &self.globals {
            exports.export(&global_name(*index), ExportKind::Global, *index);
        }
        for (index, _) in &self.memories {
            exports.export(&memory_name(*index), ExportKind::Memory, *index);
        }
        exports
    }
}

/// State that is neither in memories nor in globals cannot be put back.
fn judge(operator: &Operator<'_>) -> Result<()> {
    match operator {
        Operator::TableSet { .. }
        | Operator::TableGrow { .. }
        | Operator::TableFill { .. }
        | Operator::TableCopy { .. }
        | Operator::TableInit { .. } => bail!("it changes its tables"),
        Operator::DataDrop { .. } | Operator::ElemDrop { .. } => bail!("it drops its segments"),
        _ => Ok(()),
    }
}

fn global_name(index: u32) -> String {
    format!("wasmserve:global:{index}")
}

fn memory_name(index: u32) -> String {
    format!("wasmserve:memory:{index}")
}

fn number_type(ty: wasmparser::ValType) -> Result<ValType> {
    Ok(match ty {
        wasmparser::ValType::I32 => ValType::I32,
        wasmparser::ValType::I64 => ValType::I64,
        wasmparser::ValType::F32 => ValType::F32,
        wasmparser::ValType::F64 => ValType::F64,
        _ => bail!("it has globals that are no numbers"),
    })
}

fn zero(ty: ValType) -> ConstExpr {
    match ty {
        ValType::I64 => ConstExpr::i64_const(0),
        ValType::F32 => ConstExpr::f32_const(0.0.into()),
        ValType::F64 => ConstExpr::f64_const(0.0.into()),
        _ => ConstExpr::i32_const(0),
    }
}

fn kind(kind: wasmparser::ExternalKind) -> Result<ExportKind> {
    use wasmparser::ExternalKind as Kind;
    Ok(match kind {
        Kind::Func => ExportKind::Func,
        Kind::Table => ExportKind::Table,
        Kind::Memory => ExportKind::Memory,
        Kind::Global => ExportKind::Global,
        Kind::Tag => ExportKind::Tag,
        Kind::FuncExact => bail!("it exports what is not known here"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instrumented(text: &str) -> Result<Vec<u8>> {
        instrument(&wat::parse_str(text).unwrap())
    }

    fn refusal(text: &str) -> String {
        format!("{:#}", instrumented(text).unwrap_err())
    }

    #[test]
    fn a_component_exports_how_its_state_is_kept_and_is_sound() {
        let component = instrumented(
            r#"(component
                 (core module $one
                   (memory 1)
                   (global (mut i32) (i32.const 1))
                   (global i64 (i64.const 2))
                   (global (export "f") (mut f64) (f64.const 3))
                   (func (export "run")))
                 (core module $other
                   (import "one" "f" (global (mut f64)))
                   (global (mut i64) (i64.const 4)))
                 (core instance $one (instantiate $one))
                 (core instance $again (instantiate $one))
                 (core instance (export "f" (global $again "f")))
                 (core instance (instantiate $other (with "one" (instance $one))))
                 (func (export "run") (canon lift (core func $one "run"))))"#,
        )
        .unwrap();
        Validator::new_with_features(WasmFeatures::all())
            .validate_all(&component)
            .unwrap();
        let text = wasmparser_exports(&component);
        assert_eq!(text, ["run", SAVE, RESTORE]);
        // What was kept is the state of three instances of two modules.
        let survey = Survey::of(&component).unwrap();
        let keeper = survey.modules.last().unwrap();
        assert_eq!((keeper.imported_globals, keeper.imported_memories), (5, 2));
        assert_eq!(keeper.globals.len(), 5);
    }

    fn wasmparser_exports(component: &[u8]) -> Vec<String> {
        let payloads = Parser::new(0).parse_all(component);
        let exports = payloads.filter_map(|payload| match payload.unwrap() {
            Payload::ComponentExportSection(exports) => Some(exports),
            _ => None,
        });
        let names = exports.flat_map(|exports| exports.into_iter());
        names
            .map(|export| export.unwrap().name.name.to_owned())
            .collect()
    }

    #[test]
    fn state_that_cannot_be_put_back_is_a_refusal() {
        let module = |text: &str| refusal(&format!("(component (core module {text}))"));
        let table = "(table 1 funcref) (func (table.set (i32.const 0) (ref.null func)))";
        assert_eq!(module(table), "it changes its tables");
        let data = r#"(memory 1) (data $d "x") (func (data.drop $d))"#;
        assert_eq!(module(data), "it drops its segments");
        let global = "(global (mut funcref) (ref.null func))";
        assert_eq!(module(global), "it has globals that are no numbers");
        assert_eq!(module("(memory 1 1 shared)"), "it shares memory");
        let inside = refusal("(component (component (core module)))");
        assert_eq!(inside, "it has components with modules inside");
        let resource = refusal("(component (type (resource (rep i32))))");
        assert_eq!(resource, "it has resources of its own");
        let import = refusal(r#"(component (import "m" (core module)))"#);
        assert_eq!(import, "it imports code");
    }
}
