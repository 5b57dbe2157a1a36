//! The state module keeps the state of all other modules; this file builds it and makes it a part of their component.

use super::handles::{give, order, same, take};
use super::lift::Handler;
use super::state_access::{call_all, read, write};
use super::state_scan::StateScan;
use super::{
    ADOPT, CLOSE, COMPONENT_MODULE, FORGET, GIVE, HANDLE, ORDER, READ, RELEASE, RESTORE, SAVE,
    START, TAKE, WRITE, global_name, memory_name,
};
use crate::guest::component::info::World;
use std::ops::Range;
use wasm_encoder::{
    BlockType, CanonicalFunctionSection, CodeSection, ComponentAliasSection, ComponentExportKind,
    ComponentExportSection, ComponentTypeSection, ComponentValType, ConstExpr, EntityType,
    ExportKind, ExportSection, Function, FunctionSection, GlobalSection, GlobalType, ImportSection,
    InstanceSection, MemoryType, Module, ModuleArg, NameMap, NameSection, PrimitiveValType,
    RawSection, TypeSection, ValType,
};

/// The state module imports the functions that make and drop a handle from an instance of this name, and those that
/// drop streams.
const HANDLES: &str = "wasmserve-handles";
const NEW: &str = "new";
const DROP: &str = "drop";

/// The types of functions in the state module have these numbers.
const NOTHING: u32 = 0;
const TWO: u32 = 1;
const NUMBER_OF_NUMBER: u32 = 2;
const ONE: u32 = 3;
const VALUE_OF_NUMBER: u32 = 4;
const NUMBER_AND_VALUE: u32 = 5;
const NUMBER: u32 = 6;

/// This global says whether what modules run when they are instantiated was run.
const STARTED: GlobalType = GlobalType {
    val_type: ValType::I32,
    mutable: true,
    shared: false,
};

/// A `Plain` function is one that takes and gives nothing.
#[derive(Clone, Copy)]
enum Plain {
    Forget,
    Start,
}

impl StateScan {
    /// Appends the state module, an instance of it, and what it exports.
    pub fn append_state_module(&self, component: &mut wasm_encoder::Component) {
        let mut aliases = ComponentAliasSection::new();
        self.streams.append_aliases(&mut aliases);
        // A resource of the state module's own: its handles are in the table that the others' are in.
        let resource = self.counts.types + self.streams.count();
        let mut types = ComponentTypeSection::new();
        types.resource(ValType::I32, None);
        let mut functions = CanonicalFunctionSection::new();
        functions.resource_new(resource).resource_drop(resource);
        for number in 0..self.streams.count() {
            functions.resource_drop(self.counts.types + number);
        }
        let state_module = RawSection {
            id: COMPONENT_MODULE,
            data: &self.state_module(),
        };
        component
            .section(&aliases)
            .section(&types)
            .section(&functions)
            .section(&state_module)
            .section(&self.state_module_instance());
        self.append_exports(component);
    }

    /// Gathers what the state module imports in instances of their own; the last instance is the state module's.
    fn state_module_instance(&self) -> InstanceSection {
        let mut arguments: Vec<(String, ModuleArg)> = (0..)
            .zip(&self.instances)
            .filter(|(_, module)| module.is_some())
            .map(|(number, _): (u32, _)| (number.to_string(), ModuleArg::Instance(number)))
            .collect();
        let mut instances = InstanceSection::new();
        let names = [NEW, DROP].into_iter();
        let names = names.chain(self.streams.each().map(|kind| CLOSE[kind]));
        let handles: Vec<(&str, u32)> = names.zip(self.counts.core_functions..).collect();
        let handles = handles.iter();
        instances
            .export_items(handles.map(|(name, function)| (*name, ExportKind::Func, *function)));
        let number = self.instances.len() as u32;
        arguments.push((HANDLES.to_owned(), ModuleArg::Instance(number)));
        if let Some(handle) = &self.handle {
            instances.export_items([(HANDLE, ExportKind::Func, handle.lift.core_function)]);
            arguments.push((HANDLE.to_owned(), ModuleArg::Instance(number + 1)));
        }
        instances.instantiate(self.modules.len() as u32, arguments);
        instances
    }

    fn append_exports(&self, component: &mut wasm_encoder::Component) {
        let state_module = self.instances.len() as u32 + 1 + u32::from(self.handle.is_some());
        let streams = self.streams.count();
        let first_function = self.counts.core_functions + 2 + streams;
        let first_type = self.counts.types + streams + 1;
        let mut types = ComponentTypeSection::new();
        let nothing: [(&str, ComponentValType); 0] = [];
        types.function().params(nothing).result(None);
        let [count, value] =
            [PrimitiveValType::U32, PrimitiveValType::U64].map(ComponentValType::Primitive);
        types.function().params([("count", count)]).result(None);
        types
            .function()
            .params([("number", count)])
            .result(Some(value));
        let parameters = [("number", count), ("value", value)];
        types.function().params(parameters).result(None);
        types.function().params(nothing).result(Some(count));
        let (first, adopting) = (self.counts.types, first_type + 5);
        self.streams.append_functions(&mut types, first, adopting);
        let mut own = vec![
            (SAVE, first_type),
            (RESTORE, first_type),
            (ORDER, first_type + 3),
            (READ, first_type + 2),
            (WRITE, first_type + 3),
            (RELEASE, first_type),
            (TAKE, first_type + 4),
            (GIVE, first_type + 1),
        ];
        for (number, kind) in (0..).zip(self.streams.each()) {
            own.push((ADOPT[kind], adopting + 2 * number + 1));
            own.push((CLOSE[kind], first_type + 1));
        }
        let own = own.into_iter().map(|(name, ty)| (name, ty, &[][..]));
        let handle = self.handle.as_ref().map(|handle| &handle.lift);
        let handle = handle.map(|lift| (HANDLE, lift.ty, &lift.options[..]));
        let mut aliases = ComponentAliasSection::new();
        let mut functions = CanonicalFunctionSection::new();
        let mut exports = ComponentExportSection::new();
        for (number, (name, ty, options)) in (0..).zip(own.chain(handle)) {
            aliases.alias(wasm_encoder::Alias::CoreInstanceExport {
                instance: state_module,
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
    fn state_module(&self) -> Vec<u8> {
        let mut imports = ImportSection::new();
        imports.import(HANDLES, NEW, EntityType::Function(NUMBER_OF_NUMBER));
        imports.import(HANDLES, DROP, EntityType::Function(ONE));
        for kind in self.streams.each() {
            imports.import(HANDLES, CLOSE[kind], EntityType::Function(ONE));
        }
        let mut functions = FunctionSection::new();
        let mut own = GlobalSection::new();
        let (new, drop, closing) = (0, 1, 2);
        let forgetting = closing + self.streams.count();
        let starting = forgetting + self.import_each(&mut imports, Plain::Forget);
        let mut imported = starting + self.import_each(&mut imports, Plain::Start);
        let (save, restore, globals) =
            self.save_and_restore(&mut imports, &mut own, starting..imported);
        let mut own_functions = vec![
            (SAVE, NOTHING, ended(save)),
            (RESTORE, NOTHING, ended(restore.clone())),
            (ORDER, NUMBER_AND_VALUE, order(new, drop)),
            (READ, VALUE_OF_NUMBER, read(&globals)),
            (WRITE, NUMBER_AND_VALUE, write(&globals)),
            (RELEASE, NOTHING, call_all(forgetting..starting)),
            (TAKE, NUMBER, take(new)),
            (GIVE, ONE, give(drop)),
        ];
        for (number, kind) in (closing..).zip(self.streams.each()) {
            own_functions.push((ADOPT[kind], NUMBER_OF_NUMBER, same()));
            own_functions.push((CLOSE[kind], ONE, give(number)));
        }
        if let Some(Handler { world, .. }) = &self.handle {
            // What is asynchronous gives a number, by which the engine knows what it waits for: the component's own
            // callback is called then.
            let (ty, parameters) = match world {
                World::P2 => (TWO, 0..2),
                World::P3 => (NUMBER_OF_NUMBER, 0..1),
            };
            imports.import(HANDLE, HANDLE, EntityType::Function(ty));
            let mut handle = restore;
            for parameter in parameters {
                handle.instructions().local_get(parameter);
            }
            handle.instructions().call(imported);
            own_functions.push((HANDLE, ty, ended(handle)));
            imported += 1;
        }
        let mut exports = ExportSection::new();
        let mut code = CodeSection::new();
        for (number, (name, ty, body)) in (imported..).zip(&own_functions) {
            functions.function(*ty);
            exports.export(name, ExportKind::Func, number);
            code.function(body);
        }
        let mut module = Module::new();
        module
            .section(&types())
            .section(&imports)
            .section(&functions)
            .section(&own)
            .section(&exports)
            .section(&code)
            .section(&names(
                imported,
                own_functions.iter().map(|(name, ..)| *name),
            ));
        module.finish()
    }

    /// Imports functions of instances without parameters and results, and counts them.
    fn import_each(&self, imports: &mut ImportSection, which: Plain) -> u32 {
        let mut count = 0;
        for (instance, module) in self.instances.iter().enumerate() {
            let state = module.and_then(|module| self.modules.get(module as usize));
            let Some(state) = state else {
                continue;
            };
            let (name, is_there) = match which {
                Plain::Forget => (FORGET, state.forgets_directories),
                Plain::Start => (START, state.start.is_some() && self.defers),
            };
            if is_there {
                imports.import(&instance.to_string(), name, EntityType::Function(NOTHING));
                count += 1;
            }
        }
        count
    }

    /// Copies globals to globals of the state module and back, and gives their types. Memories that have grown become
    /// as small as before when they are asked to grow by nothing: their host knows better (`memory`). What modules
    /// would have run when they were instantiated is run after that, where it has not been: one more global, of the
    /// state module's own, says so.
    fn save_and_restore(
        &self,
        imports: &mut ImportSection,
        own: &mut GlobalSection,
        starting: Range<u32>,
    ) -> (Function, Function, Vec<ValType>) {
        let (mut globals, mut memories) = (Vec::new(), Vec::new());
        if !starting.is_empty() {
            own.global(STARTED, &zero(STARTED.val_type));
        }
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
        let started = globals.len() as u32;
        if !starting.is_empty() {
            own.global(STARTED, &zero(STARTED.val_type));
            globals.push(STARTED.val_type);
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
        if !starting.is_empty() {
            let mut code = restore.instructions();
            code.global_get(started).i32_eqz().if_(BlockType::Empty);
            code.i32_const(1).global_set(started);
            starting.for_each(|function| {
                code.call(function);
            });
            code.end();
        }
        (save, restore, globals)
    }
}

/// Names the module, and its functions from this one on: a short handler is compiled into the function that calls it, and
/// traps there.
fn names(first: u32, functions: impl Iterator<Item = &'static str>) -> NameSection {
    let mut named = NameMap::new();
    for (number, name) in (first..).zip(functions) {
        named.append(number, name);
    }
    let mut names = NameSection::new();
    names.module("wasmserve");
    names.functions(&named);
    names
}

fn ended(mut function: Function) -> Function {
    function.instructions().end();
    function
}

/// Lists the types of functions, in the order of their numbers.
fn types() -> TypeSection {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    types.ty().function([ValType::I32; 2], []);
    types.ty().function([ValType::I32], [ValType::I32]);
    types.ty().function([ValType::I32], []);
    types.ty().function([ValType::I32], [ValType::I64]);
    types.ty().function([ValType::I32, ValType::I64], []);
    types.ty().function([], [ValType::I32]);
    types
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
