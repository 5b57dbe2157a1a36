//! The state module keeps the state of all other modules; this file builds it and makes it a part of their component.

use super::state_access::{call_all, read, write};
use super::state_scan::StateScan;
use super::{COMPONENT_MODULE, FORGET, HANDLE, ORDER, READ, RELEASE, RESTORE, SAVE, WRITE};
use super::{global_name, memory_name};
use wasm_encoder::{
    BlockType, CanonicalFunctionSection, CodeSection, ComponentAliasSection, ComponentExportKind,
    ComponentExportSection, ComponentTypeSection, ConstExpr, EntityType, ExportKind, ExportSection,
    Function, FunctionSection, GlobalSection, GlobalType, ImportSection, InstanceSection,
    MemoryType, Module, ModuleArg, PrimitiveValType, RawSection, TypeSection, ValType,
};

/// The state module imports the functions that make and drop a handle from an instance of this name.
const HANDLES: &str = "wasmserve-handles";
const NEW: &str = "new";
const DROP: &str = "drop";
/// The state module imports so many functions, which come first.
const IMPORTED: u32 = 2;

impl StateScan {
    /// Appends the state module, an instance of it, and what it exports.
    pub fn append_keeper(&self, component: &mut wasm_encoder::Component) {
        // A resource of the keeper's own: its handles are in the table that the others' are in.
        let resource = self.counts.types;
        let mut types = ComponentTypeSection::new();
        types.resource(ValType::I32, None);
        let mut functions = CanonicalFunctionSection::new();
        functions.resource_new(resource).resource_drop(resource);
        let keeper = RawSection {
            id: COMPONENT_MODULE,
            data: &self.keeper(),
        };
        component
            .section(&types)
            .section(&functions)
            .section(&keeper)
            .section(&self.keeper_instance());
        self.append_exports(component);
    }

    /// Gathers what the state module imports in instances of their own; the last instance is the state module's.
    fn keeper_instance(&self) -> InstanceSection {
        let mut arguments: Vec<(String, ModuleArg)> = (0..)
            .zip(&self.instances)
            .filter(|(_, module)| module.is_some())
            .map(|(number, _): (u32, _)| (number.to_string(), ModuleArg::Instance(number)))
            .collect();
        let mut instances = InstanceSection::new();
        let (new, drop) = (self.counts.core_functions, self.counts.core_functions + 1);
        instances.export_items([(NEW, ExportKind::Func, new), (DROP, ExportKind::Func, drop)]);
        let number = self.instances.len() as u32;
        arguments.push((HANDLES.to_owned(), ModuleArg::Instance(number)));
        if let Some(handle) = &self.handle {
            instances.export_items([(HANDLE, ExportKind::Func, handle.core_function)]);
            arguments.push((HANDLE.to_owned(), ModuleArg::Instance(number + 1)));
        }
        instances.instantiate(self.modules.len() as u32, arguments);
        instances
    }

    fn append_exports(&self, component: &mut wasm_encoder::Component) {
        let keeper = self.instances.len() as u32 + 1 + u32::from(self.handle.is_some());
        let (first_function, first_type) = (self.counts.core_functions + 2, self.counts.types + 1);
        let mut aliases = ComponentAliasSection::new();
        let mut types = ComponentTypeSection::new();
        let mut functions = CanonicalFunctionSection::new();
        let mut exports = ComponentExportSection::new();
        let nothing: [(&str, wasm_encoder::ComponentValType); 0] = [];
        types.function().params(nothing).result(None);
        let [count, value] = [PrimitiveValType::U32, PrimitiveValType::U64]
            .map(wasm_encoder::ComponentValType::Primitive);
        types.function().params([("count", count)]).result(None);
        types
            .function()
            .params([("number", count)])
            .result(Some(value));
        let parameters = [("number", count), ("value", value)];
        types.function().params(parameters).result(None);
        let own = [
            (SAVE, first_type),
            (RESTORE, first_type),
            (ORDER, first_type + 1),
            (READ, first_type + 2),
            (WRITE, first_type + 3),
            (RELEASE, first_type),
        ];
        let own = own.map(|(name, ty)| (name, ty, &[][..]));
        let handle = self.handle.as_ref();
        let handle = handle.map(|handle| (HANDLE, handle.ty, &handle.options[..]));
        for (number, (name, ty, options)) in (0..).zip(own.into_iter().chain(handle)) {
            aliases.alias(wasm_encoder::Alias::CoreInstanceExport {
                instance: keeper,
                kind: ExportKind::Func,
                name,
            });
            functions.lift(first_function + number, ty, options.iter().copied());
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

    /// Builds a module that imports all the state there is, and copies it to and fro. Where it is clear which
    /// function answers requests, it also restores the state and answers a request in one call.
    fn keeper(&self) -> Vec<u8> {
        let mut types = TypeSection::new();
        types.ty().function([], []);
        types.ty().function([ValType::I32; 2], []);
        types.ty().function([ValType::I32], [ValType::I32]);
        types.ty().function([ValType::I32], []);
        types.ty().function([ValType::I32], [ValType::I64]);
        types.ty().function([ValType::I32, ValType::I64], []);
        let mut imports = ImportSection::new();
        imports.import(HANDLES, NEW, EntityType::Function(2));
        imports.import(HANDLES, DROP, EntityType::Function(3));
        let mut functions = FunctionSection::new();
        let mut own = GlobalSection::new();
        let forgetting = self.import_forgetting(&mut imports);
        let (save, restore, globals) = self.save_and_restore(&mut imports, &mut own);
        let mut own_functions = vec![
            (SAVE, 0, ended(save)),
            (RESTORE, 0, ended(restore.clone())),
            (ORDER, 3, order()),
            (READ, 4, read(&globals)),
            (WRITE, 5, write(&globals)),
            (RELEASE, 0, call_all(IMPORTED, forgetting)),
        ];
        if self.handle.is_some() {
            imports.import(HANDLE, HANDLE, EntityType::Function(1));
            let mut handle = restore;
            handle
                .instructions()
                .local_get(0)
                .local_get(1)
                .call(IMPORTED + forgetting);
            own_functions.push((HANDLE, 1, ended(handle)));
        }
        let mut exports = ExportSection::new();
        let mut code = CodeSection::new();
        let first = IMPORTED + forgetting + u32::from(self.handle.is_some());
        for (number, (name, ty, body)) in (first..).zip(&own_functions) {
            functions.function(*ty);
            exports.export(name, ExportKind::Func, number);
            code.function(body);
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

    /// Imports the functions that have a C library forget its directories, and counts them.
    fn import_forgetting(&self, imports: &mut ImportSection) -> u32 {
        let mut count = 0;
        for (instance, module) in self.instances.iter().enumerate() {
            let state = module.and_then(|module| self.modules.get(module as usize));
            if state.is_some_and(|state| state.forgets_directories) {
                imports.import(&instance.to_string(), FORGET, EntityType::Function(0));
                count += 1;
            }
        }
        count
    }

    /// Copies globals to globals of the state module and back, and gives their types. Memories that have grown become as small as before
    /// when they are asked to grow by nothing: their host knows better (`memory`).
    fn save_and_restore(
        &self,
        imports: &mut ImportSection,
        own: &mut GlobalSection,
    ) -> (Function, Function, Vec<ValType>) {
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
                globals.push(ty.val_type);
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
            let (from, to) = (number, count + number);
            save.instructions().global_get(from).global_set(to);
            restore.instructions().global_get(to).global_set(from);
        }
        for (number, memory64) in (0..).zip(memories) {
            let mut instructions = restore.instructions();
            match memory64 {
                true => instructions.i64_const(0),
                false => instructions.i32_const(0),
            };
            instructions.memory_grow(number).drop();
        }
        (save, restore, globals)
    }
}

fn ended(mut function: Function) -> Function {
    function.instructions().end();
    function
}

/// Has the engine give out handle numbers as it did at first, up to this one. The engine gives out first what was
/// given up last: this function takes them all, and gives them up from the last to the first. It traps where one of
/// them is still there, or is missing because more were in use.
fn order() -> Function {
    const COUNT: u32 = 0;
    const LEFT: u32 = 1;
    let mut order = Function::new([(1, ValType::I32)]);
    let mut code = order.instructions();
    code.local_get(COUNT).local_set(LEFT);
    code.block(BlockType::Empty).loop_(BlockType::Empty);
    code.local_get(LEFT).i32_eqz().br_if(1);
    code.i32_const(0).call(0).drop();
    code.local_get(LEFT).i32_const(1).i32_sub().local_set(LEFT);
    code.br(0).end().end();
    code.block(BlockType::Empty).loop_(BlockType::Empty);
    code.local_get(COUNT).i32_eqz().br_if(1);
    code.local_get(COUNT).call(1);
    code.local_get(COUNT)
        .i32_const(1)
        .i32_sub()
        .local_set(COUNT);
    code.br(0).end().end();
    code.end();
    order
}

fn zero(ty: ValType) -> ConstExpr {
    match ty {
        ValType::I64 => ConstExpr::i64_const(0),
        ValType::F32 => ConstExpr::f32_const(0.0.into()),
        ValType::F64 => ConstExpr::f64_const(0.0.into()),
        ValType::V128 => ConstExpr::v128_const(0),
        _ => ConstExpr::i32_const(0),
    }
}
