//! The probe is a core module that looks at all that others export, and makes one number of it: sizes and contents of
//! memories, globals, and which elements of tables are there.

use super::modules::{Export, Made, is_null_or_function};
use wasm_encoder::{
    BlockType, CodeSection, EntityType, ExportKind, ExportSection, Function, FunctionSection,
    GlobalType, HeapType, ImportSection, InstructionSink, MemArg, MemoryType, Module, RefType,
    TableType, TypeSection, ValType,
};

/// The function has these locals: what is computed, and where it looks.
const SUM: u32 = 0;
const AT: u32 = 1;

/// Builds the probe. It imports of each module, by the number of its instance, what is to be looked at.
pub fn probe<'a>(instances: impl Iterator<Item = (String, &'a Made)>) -> Vec<u8> {
    let mut imports = ImportSection::new();
    let mut function = Function::new([(2, ValType::I64)]);
    let mut code = function.instructions();
    let (mut globals, mut memories, mut tables) = (0, 0, 0);
    for (instance, made) in instances {
        for (name, export) in &made.exports {
            match export {
                Export::Global(ty) => {
                    let Some(ty) = global(*ty) else { continue };
                    imports.import(&instance, name, EntityType::Global(ty));
                    code.global_get(globals);
                    match ty.val_type {
                        ValType::I32 => code.i64_extend_i32_u(),
                        ValType::F32 => code.i32_reinterpret_f32().i64_extend_i32_u(),
                        ValType::F64 => code.i64_reinterpret_f64(),
                        ValType::V128 => code.i64x2_bitmask().i64_extend_i32_u(),
                        _ => &mut code,
                    };
                    add(&mut code);
                    globals += 1;
                }
                Export::Memory(ty) => {
                    let memory64 = ty.memory64;
                    let ty = MemoryType {
                        minimum: ty.initial,
                        maximum: ty.maximum,
                        memory64,
                        shared: ty.shared,
                        page_size_log2: ty.page_size_log2,
                    };
                    imports.import(&instance, name, EntityType::Memory(ty));
                    memory(&mut code, memories, memory64);
                    memories += 1;
                }
                Export::Table(ty) if is_null_or_function(ty.element_type) => {
                    let functions = ty.element_type == wasmparser::RefType::FUNCREF;
                    let table64 = ty.table64;
                    let ty = TableType {
                        element_type: RefType {
                            nullable: true,
                            heap_type: match functions {
                                true => HeapType::FUNC,
                                false => HeapType::EXTERN,
                            },
                        },
                        table64,
                        minimum: ty.initial,
                        maximum: ty.maximum,
                        shared: ty.shared,
                    };
                    imports.import(&instance, name, EntityType::Table(ty));
                    table(&mut code, tables, table64);
                    tables += 1;
                }
                Export::Table(_) | Export::Function(_) | Export::Other => {}
            }
        }
    }
    code.local_get(SUM).end();
    whole(&imports, &function)
}

fn whole(imports: &ImportSection, function: &Function) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([], [ValType::I64]);
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut exports = ExportSection::new();
    exports.export("probe", ExportKind::Func, 0);
    let mut code = CodeSection::new();
    code.function(function);
    let mut module = Module::new();
    module.section(&types).section(imports).section(&functions);
    module.section(&exports).section(&code);
    module.finish()
}

/// Returns a global that is to be looked at; none for what is no number, immutable, or not restored.
fn global(ty: wasmparser::GlobalType) -> Option<GlobalType> {
    let val_type = match ty.content_type {
        wasmparser::ValType::I32 => ValType::I32,
        wasmparser::ValType::I64 => ValType::I64,
        wasmparser::ValType::F32 => ValType::F32,
        wasmparser::ValType::F64 => ValType::F64,
        wasmparser::ValType::V128 => ValType::V128,
        _ => return None,
    };
    Some(GlobalType {
        val_type,
        mutable: ty.mutable,
        shared: ty.shared,
    })
}

/// Adds code that takes a number from the stack, as FNV does.
fn add(code: &mut InstructionSink<'_>) {
    code.local_get(SUM).i64_xor();
    code.i64_const(0x100_0000_01b3).i64_mul();
    code.i64_const(23).i64_rotl().local_set(SUM);
}

/// Adds code that makes a number one of 64 bits, whatever it was.
fn wide(code: &mut InstructionSink<'_>, is_wide: bool) {
    if !is_wide {
        code.i64_extend_i32_u();
    }
}

/// Adds code that gives the place that is looked at.
fn at(code: &mut InstructionSink<'_>, is_wide: bool) {
    code.local_get(AT);
    if !is_wide {
        code.i32_wrap_i64();
    }
}

fn memory(code: &mut InstructionSink<'_>, memory: u32, memory64: bool) {
    code.memory_size(memory);
    wide(code, memory64);
    add(code);
    code.i64_const(0).local_set(AT);
    code.block(BlockType::Empty).loop_(BlockType::Empty);
    code.local_get(AT).memory_size(memory);
    wide(code, memory64);
    code.i64_const(16).i64_shl().i64_ge_u().br_if(1);
    at(code, memory64);
    code.i64_load(MemArg {
        offset: 0,
        align: 0,
        memory_index: memory,
    });
    add(code);
    code.local_get(AT).i64_const(8).i64_add().local_set(AT);
    code.br(0).end().end();
}

fn table(code: &mut InstructionSink<'_>, table: u32, table64: bool) {
    code.table_size(table);
    wide(code, table64);
    add(code);
    code.i64_const(0).local_set(AT);
    code.block(BlockType::Empty).loop_(BlockType::Empty);
    code.local_get(AT).table_size(table);
    wide(code, table64);
    code.i64_ge_u().br_if(1);
    at(code, table64);
    code.table_get(table).ref_is_null().i64_extend_i32_u();
    add(code);
    code.local_get(AT).i64_const(1).i64_add().local_set(AT);
    code.br(0).end().end();
}
