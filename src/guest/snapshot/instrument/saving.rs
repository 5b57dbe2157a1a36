//! This file writes what saves the state of all other modules in the state module's globals, and what restores it.

use super::state_scan::StateScan;
use super::{global_name, memory_name};
use std::ops::Range;
use wasm_encoder::{
    BlockType, ConstExpr, EntityType, Function, GlobalSection, GlobalType, ImportSection,
    MemoryType, ValType,
};

/// This global says whether what modules run when they are instantiated was run.
const STARTED: GlobalType = mutable(ValType::I32);

impl StateScan {
    /// Copies globals to globals of the state module and back, and gives their types. Memories that have grown become
    /// as small as before when they are asked to grow by nothing: their host knows better (`memory`). That is a call into
    /// the engine; a memory whose size is what it was after the last time needs none, as it is put back to the same size
    /// each time. What modules would have run when they were instantiated is run after that, where it has not been: one
    /// more global, of the state module's own, says so.
    pub fn save_and_restore(
        &self,
        imports: &mut ImportSection,
        own: &mut GlobalSection,
        starting: Range<u32>,
    ) -> Saved {
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
                let ty = mutable(*ty);
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
        let mut end = 2 * count;
        for (number, memory64) in (0..).zip(memories) {
            let mut code = restore.instructions();
            code.memory_size(number).global_get(end);
            let (val_type, unknown) = match memory64 {
                true => (ValType::I64, ConstExpr::i64_const(-1)),
                false => (ValType::I32, ConstExpr::i32_const(-1)),
            };
            match memory64 {
                true => code.i64_ne().if_(BlockType::Empty).i64_const(0),
                false => code.i32_ne().if_(BlockType::Empty).i32_const(0),
            };
            code.memory_grow(number).drop();
            code.memory_size(number).global_set(end).end();
            own.global(mutable(val_type), &unknown);
            end += 1;
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
        Saved {
            save,
            restore,
            globals,
            end,
        }
    }
}

/// `Saved` state is in globals of the state module.
pub struct Saved {
    /// These functions, which have no end yet, save the state and restore it.
    pub save: Function,
    pub restore: Function,
    /// The globals that are saved have these types.
    pub globals: Vec<ValType>,
    /// The next global has this number.
    pub end: u32,
}

pub const fn mutable(val_type: ValType) -> GlobalType {
    GlobalType {
        val_type,
        mutable: true,
        shared: false,
    }
}

pub fn zero(ty: ValType) -> ConstExpr {
    match ty {
        ValType::I64 => ConstExpr::i64_const(0),
        ValType::F32 => ConstExpr::f32_const(0.0.into()),
        ValType::F64 => ConstExpr::f64_const(0.0.into()),
        ValType::V128 => ConstExpr::v128_const(0),
        _ => ConstExpr::i32_const(0),
    }
}
