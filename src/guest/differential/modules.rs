//! Components that are made up have these core modules: one that all others share things of, ones that wasm-smith
//! makes, and one that sees what there is from outside.

use arbitrary::{Result, Unstructured};
use wasm_encoder::PrimitiveValType as Primitive;
use wasm_smith::{Config, InstructionKind, InstructionKinds, Module};
use wasmparser::types::EntityType;
use wasmparser::{FuncType, RefType, Validator};

/// The other modules import this one, which has state of its own.
pub const BASE: &str = r#"(module
    (memory (export "memory") 1 4)
    (table (export "table") 4 funcref)
    (global (export "i32") (mut i32) (i32.const 1))
    (global (export "i64") (mut i64) (i64.const 2))
    (global (export "f64") (mut f64) (f64.const 3))
    (global $steps (mut i32) (i32.const 0))
    (func $step (export "step") (param i32) (result i32)
      (global.set $steps (i32.add (global.get $steps) (i32.const 1)))
      (i32.add (local.get 0) (global.get $steps)))
    (func $page (result i32) (memory.grow (i32.const 1)))
    (elem (i32.const 0) $step $page)
    (data (i32.const 7) "not zero"))"#;

/// This takes the place of `step` where there is a host: it takes handles, and gives them up in one order or another,
/// and at times not at all.
pub const HANDLES: &str = r#"(module
    (import "" "make" (func $make (param i32) (result i32)))
    (import "" "drop" (func $drop (param i32)))
    (func (export "step") (param $how i32) (result i32) (local $one i32) (local $other i32)
      (local.set $one (call $make (local.get $how)))
      (local.set $other (call $make (local.get $how)))
      (if (i32.and (local.get $how) (i32.const 1))
        (then (call $drop (local.get $one)) (call $drop (local.get $other)))
        (else (call $drop (local.get $other)) (call $drop (local.get $one))))
      (if (i32.eqz (i32.rem_u (local.get $how) (i32.const 5)))
        (then (drop (call $make (local.get $how)))))
      (i32.add (i32.shl (local.get $one) (i32.const 8)) (local.get $other))))"#;

/// This takes the place of `step` where the engine has to collect objects.
pub const OBJECTS: &str = r#"(module
    (type $bytes (array (mut i8)))
    (type $link (struct (field (mut i32)) (field (ref null $link))))
    (func (export "step") (param $how i32) (result i32)
      (local $head (ref null $link)) (local $left i32) (local $bytes (ref null $bytes))
      (local.set $left (i32.add (i32.const 2000) (i32.and (local.get $how) (i32.const 4095))))
      (loop $more
        (local.set $head (struct.new $link (local.get $left) (local.get $head)))
        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
        (br_if $more (local.get $left)))
      (local.set $bytes (array.new_default $bytes (i32.const 300)))
      (array.set $bytes (local.get $bytes) (i32.const 1) (local.get $how))
      (i32.add (array.get_u $bytes (local.get $bytes) (i32.const 1))
        (struct.get $link 0 (local.get $head)))))"#;

const IMPORTS: &str = r#"(module
    (import "env" "memory" (memory 1 4))
    (import "env" "table" (table 4 funcref))
    (import "env" "i32" (global (mut i32)))
    (import "env" "i64" (global (mut i64)))
    (import "env" "f64" (global (mut f64)))
    (import "env" "step" (func (param i32) (result i32))))"#;

/// Toolchains put such a module before one whose imports exist only after it: a table, filled in by `FILLER`.
pub const SHIM: &str = r#"(module
    (type $step (func (param i32) (result i32)))
    (table (export "$imports") 1 funcref)
    (func (export "0") (type $step)
      (call_indirect (type $step) (local.get 0) (i32.const 0))))"#;

pub const FILLER: &str = r#"(module
    (import "" "0" (func $step (param i32) (result i32)))
    (import "" "$imports" (table 1 funcref))
    (elem (i32.const 0) func $step))"#;

/// An instance has this many calls and turns of loops left before it traps.
const FUEL: u32 = 500;

/// `Made` is a module, and all that it exports, which is all that it has.
pub struct Made {
    pub bytes: Vec<u8>,
    pub exports: Vec<(String, Export)>,
}

#[derive(Clone)]
pub enum Export {
    Function(FuncType),
    Global(wasmparser::GlobalType),
    Memory(wasmparser::MemoryType),
    Table(wasmparser::TableType),
    Other,
}

impl Made {
    /// Makes a module: most have only what is restored, some have everything.
    pub fn arbitrary(u: &mut Unstructured<'_>) -> Result<Made> {
        let mut module = Module::new(config(u)?, u)?;
        let ends = module.ensure_termination(FUEL);
        ends.map_err(|_| arbitrary::Error::IncorrectFormat)?;
        Made::read(module.to_bytes()).ok_or(arbitrary::Error::IncorrectFormat)
    }

    pub fn of_text(text: &str) -> Option<Made> {
        Made::read(wat::parse_str(text).ok()?)
    }

    fn read(bytes: Vec<u8>) -> Option<Made> {
        let types = Validator::new().validate_all(&bytes).ok()?;
        let types = types.as_ref();
        let exports = types.core_exports()?.map(|(name, ty)| {
            let export = match ty {
                EntityType::Func(ty) => Export::Function(types[ty].unwrap_func().clone()),
                EntityType::Global(ty) => Export::Global(ty),
                EntityType::Memory(ty) => Export::Memory(ty),
                EntityType::Table(ty) => Export::Table(ty),
                _ => Export::Other,
            };
            (name.to_owned(), export)
        });
        let exports = exports.collect();
        Some(Made { bytes, exports })
    }
}

fn config(u: &mut Unstructured<'_>) -> Result<Config> {
    let mut config = Config {
        available_imports: wat::parse_str(IMPORTS).ok(),
        export_everything: true,
        canonicalize_nans: true,
        custom_page_sizes_enabled: false,
        threads_enabled: false,
        memory64_enabled: u.arbitrary()?,
        bulk_memory_enabled: u.arbitrary()?,
        memory_max_size_required: true,
        table_max_size_required: true,
        max_memory32_bytes: 6 << 16,
        max_memory64_bytes: 6 << 16,
        max_table_elements: 50,
        max_memories: 3,
        max_tables: 3,
        max_globals: 10,
        max_funcs: 8,
        max_types: 12,
        max_instructions: 60,
        max_data_segments: 3,
        max_element_segments: 3,
        max_tags: 3,
        min_funcs: 2,
        min_globals: 1,
        ..Config::default()
    };
    match u.int_in_range(0..=7)? {
        0..=4 => {
            config.gc_enabled = false;
            config.exceptions_enabled = false;
            config.reference_types_enabled = false;
            config.allowed_instructions = InstructionKinds::new(&[
                InstructionKind::Numeric,
                InstructionKind::Vector,
                InstructionKind::Parametric,
                InstructionKind::Variable,
                InstructionKind::Memory,
                InstructionKind::Control,
            ]);
        }
        5 => {
            config.gc_enabled = false;
            config.exceptions_enabled = false;
        }
        _ => {}
    }
    Ok(config)
}

/// Says whether values of this type are the same in each instance, or tell nothing.
pub fn is_null_or_function(ty: RefType) -> bool {
    ty == RefType::FUNCREF || ty == RefType::EXTERNREF
}

pub fn broken() -> arbitrary::Error {
    arbitrary::Error::IncorrectFormat
}

/// Finds the type of the component's that a number of a module has.
pub fn primitive(ty: &wasmparser::ValType) -> Option<Primitive> {
    Some(match ty {
        wasmparser::ValType::I32 => Primitive::U32,
        wasmparser::ValType::I64 => Primitive::U64,
        wasmparser::ValType::F32 => Primitive::F32,
        wasmparser::ValType::F64 => Primitive::F64,
        _ => return None,
    })
}
