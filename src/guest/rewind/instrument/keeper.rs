//! The module that keeps the state of all others, and how it becomes a part of their component.

use super::survey::Survey;
use super::{COMPONENT_MODULE, HANDLE, RESTORE, SAVE, global_name, memory_name};
use wasm_encoder::{
    CanonicalFunctionSection, CodeSection, ComponentAliasSection, ComponentExportKind,
    ComponentExportSection, ComponentTypeSection, ConstExpr, EntityType, ExportKind, ExportSection,
    Function, FunctionSection, GlobalSection, GlobalType, ImportSection, InstanceSection,
    MemoryType, Module, ModuleArg, RawSection, TypeSection, ValType,
};

impl Survey {
    /// Appends the module that keeps the state, an instance of it, and what it exports.
    pub fn append_keeper(&self, component: &mut wasm_encoder::Component) {
        let keeper = RawSection {
            id: COMPONENT_MODULE,
            data: &self.keeper(),
        };
        component.section(&keeper);
        let mut arguments: Vec<(String, ModuleArg)> = (0..)
            .zip(&self.instances)
            .filter(|(_, module)| module.is_some())
            .map(|(number, _): (u32, _)| (number.to_string(), ModuleArg::Instance(number)))
            .collect();
        let mut instances = InstanceSection::new();
        let mut keeper = self.instances.len() as u32;
        if let Some(handle) = &self.handle {
            instances.export_items([(HANDLE, ExportKind::Func, handle.core_function)]);
            arguments.push((HANDLE.to_owned(), ModuleArg::Instance(keeper)));
            keeper += 1;
        }
        instances.instantiate(self.modules.len() as u32, arguments);
        component.section(&instances);

        let mut aliases = ComponentAliasSection::new();
        let mut types = ComponentTypeSection::new();
        let mut functions = CanonicalFunctionSection::new();
        let mut exports = ComponentExportSection::new();
        let nothing: [(&str, wasm_encoder::ComponentValType); 0] = [];
        types.function().params(nothing).result(None);
        let own = [SAVE, RESTORE].map(|name| (name, self.counts.types, &[][..]));
        let handle = self.handle.as_ref();
        let handle = handle.map(|handle| (HANDLE, handle.ty, &handle.options[..]));
        for (number, (name, ty, options)) in (0..).zip(own.into_iter().chain(handle)) {
            aliases.alias(wasm_encoder::Alias::CoreInstanceExport {
                instance: keeper,
                kind: ExportKind::Func,
                name,
            });
            let core_function = self.counts.core_functions + number;
            functions.lift(core_function, ty, options.iter().copied());
            // Each export is one more function.
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
    /// small as before when they are asked to grow by nothing: their host knows better (`memory`). Where it is
    /// clear what answers requests, it also restores the state and has a request answered in one call.
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
        let mut handle = restore.clone();
        save.instructions().end();
        restore.instructions().end();

        let mut types = TypeSection::new();
        types.ty().function([], []);
        let mut functions = FunctionSection::new();
        let mut exports = ExportSection::new();
        let mut code = CodeSection::new();
        let imported = u32::from(self.handle.is_some());
        for (number, name, body) in [(0, SAVE, &save), (1, RESTORE, &restore)] {
            functions.function(0);
            exports.export(name, ExportKind::Func, imported + number);
            code.function(body);
        }
        if self.handle.is_some() {
            types.ty().function([ValType::I32; 2], []);
            imports.import(HANDLE, HANDLE, EntityType::Function(1));
            let mut instructions = handle.instructions();
            instructions.local_get(0).local_get(1).call(0).end();
            functions.function(1);
            exports.export(HANDLE, ExportKind::Func, imported + 2);
            code.function(&handle);
        }
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

fn zero(ty: ValType) -> ConstExpr {
    match ty {
        ValType::I64 => ConstExpr::i64_const(0),
        ValType::F32 => ConstExpr::f32_const(0.0.into()),
        ValType::F64 => ConstExpr::f64_const(0.0.into()),
        _ => ConstExpr::i32_const(0),
    }
}
