//! The state module keeps the state of all other modules; this file builds it and makes it a part of their component.

use super::answering::Answering;
use super::handles::{Handles, expect, give, order, same, take};
use super::saving::{mutable, zero};
use super::state_access::{call_all, read, write};
use super::state_scan::StateScan;
use super::{
    ADOPT, CLOSE, COMPONENT_MODULE, EXPECT, FORGET, GIVE, HANDLE, ORDER, READ, RELEASE, RESTORE,
    SAVE, START, TAKE, WRITE,
};
use wasm_encoder::{
    CanonicalFunctionSection, CodeSection, ComponentAliasSection, ComponentExportKind,
    ComponentExportSection, ComponentTypeSection, ComponentValType, EntityType, ExportKind,
    ExportSection, Function, FunctionSection, GlobalSection, ImportSection, InstanceSection,
    Module, ModuleArg, NameMap, NameSection, PrimitiveValType, RawSection, TypeSection, ValType,
};

/// The state module imports the functions that make and drop a handle from an instance of this name, and those that
/// drop streams.
const HANDLES: &str = "wasmserve-handles";
const NEW: &str = "new";
const DROP: &str = "drop";

/// The types of functions in the state module have these numbers.
pub const NOTHING: u32 = 0;
pub const TWO: u32 = 1;
pub const NUMBER_OF_NUMBER: u32 = 2;
const ONE: u32 = 3;
const VALUE_OF_NUMBER: u32 = 4;
const NUMBER_AND_VALUE: u32 = 5;
const NUMBER: u32 = 6;
pub const NUMBER_OF_THREE: u32 = 7;
const VALUE: u32 = 8;

/// A function of the state module has this name, this type and this body. Where it is called from outside, it is
/// exported by its name.
pub struct Own {
    pub name: &'static str,
    pub ty: u32,
    pub body: Function,
    pub exported: bool,
}

impl Own {
    pub fn exported(name: &'static str, ty: u32, body: Function) -> Own {
        Own {
            name,
            ty,
            body,
            exported: true,
        }
    }

    pub fn inner(name: &'static str, ty: u32, body: Function) -> Own {
        Own {
            exported: false,
            ..Own::exported(name, ty, body)
        }
    }
}

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
            let items = Answering::of(handle).imported();
            let items = items
                .iter()
                .map(|(name, function, _)| (*name, ExportKind::Func, *function));
            instances.export_items(items);
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
        types.function().params([("value", value)]).result(None);
        let (first, adopting) = (self.counts.types, first_type + 6);
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
        let answering = self.handle.as_ref().map(Answering::of);
        if answering.as_ref().is_some_and(Answering::keeps_order) {
            own.push((EXPECT, first_type + 5));
        }
        let handle = answering.map(|answering| {
            // The callback comes behind the handler.
            let callback = first_function + own.len() as u32 + 1;
            (answering, callback)
        });
        let own = own.into_iter().map(|(name, ty)| (name, ty, Vec::new()));
        let lifted = handle.iter().map(|(answering, callback)| {
            (
                answering.name(),
                answering.ty(),
                answering.options(*callback),
            )
        });
        let mut aliases = ComponentAliasSection::new();
        let mut functions = CanonicalFunctionSection::new();
        let mut exports = ComponentExportSection::new();
        let core = |name| wasm_encoder::Alias::CoreInstanceExport {
            instance: state_module,
            kind: ExportKind::Func,
            name,
        };
        for (number, (name, ty, options)) in (0..).zip(own.chain(lifted)) {
            aliases.alias(core(name));
            functions.lift(first_function + number, ty, options);
            // Each export is one more function.
            let function = self.counts.functions + number;
            exports.export(name, ComponentExportKind::Func, function, None);
        }
        let callback = handle
            .iter()
            .find_map(|(answering, _)| answering.callback());
        callback.map(|name| aliases.alias(core(name)));
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
        let saved = self.save_and_restore(&mut imports, &mut own, starting..imported);
        let globals = &saved.globals;
        let handles = Handles {
            new,
            drop,
            expected: saved.end,
            disordered: saved.end + 1,
        };
        for val_type in [ValType::I64, ValType::I32] {
            own.global(mutable(val_type), &zero(val_type));
        }
        let mut own_functions = vec![
            Own::exported(SAVE, NOTHING, ended(saved.save)),
            Own::exported(RESTORE, NOTHING, ended(saved.restore.clone())),
            Own::exported(ORDER, NUMBER_AND_VALUE, order(handles)),
            Own::exported(READ, VALUE_OF_NUMBER, read(globals)),
            Own::exported(WRITE, NUMBER_AND_VALUE, write(globals)),
            Own::exported(RELEASE, NOTHING, call_all(forgetting..starting)),
            Own::exported(TAKE, NUMBER, take(new)),
            Own::exported(GIVE, ONE, give(drop)),
            Own::exported(EXPECT, VALUE, expect(handles)),
        ];
        for (number, kind) in (closing..).zip(self.streams.each()) {
            own_functions.push(Own::exported(ADOPT[kind], NUMBER_OF_NUMBER, same()));
            own_functions.push(Own::exported(CLOSE[kind], ONE, give(number)));
        }
        if let Some(handler) = &self.handle {
            let answering = Answering::of(handler);
            let first = imported;
            for (name, _, ty) in answering.imported() {
                imports.import(HANDLE, name, EntityType::Function(ty));
                imported += 1;
            }
            let next = imported + own_functions.len() as u32;
            own_functions.extend(answering.functions(handles, &saved.restore, first, next));
        }
        let mut exports = ExportSection::new();
        let mut code = CodeSection::new();
        for (number, own) in (imported..).zip(&own_functions) {
            functions.function(own.ty);
            if own.exported {
                exports.export(own.name, ExportKind::Func, number);
            }
            code.function(&own.body);
        }
        let mut module = Module::new();
        module
            .section(&types())
            .section(&imports)
            .section(&functions)
            .section(&own)
            .section(&exports)
            .section(&code)
            .section(&names(imported, own_functions.iter().map(|own| own.name)));
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

pub fn ended(mut function: Function) -> Function {
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
    types.ty().function([ValType::I32; 3], [ValType::I32]);
    types.ty().function([ValType::I64], []);
    types
}
