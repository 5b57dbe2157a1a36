//! The state module lets the host read the globals of an instance, and write what they are restored to: number by
//! number, as the host knows neither their types nor where they are.

use super::COUNT;
use wasm_encoder::{BlockType, Function, InstructionSink, ValType};

/// A `Slot` is a global, or one half of a vector.
struct Slot {
    global: u32,
    ty: ValType,
    half: u8,
}

/// Lists the numbers that there are: one for each global, and two where it is a vector.
fn slots(types: &[ValType]) -> Vec<Slot> {
    let mut slots = Vec::new();
    for (global, ty) in (0..).zip(types) {
        let halves = 0..if *ty == ValType::V128 { 2 } else { 1 };
        slots.extend(halves.map(|half| Slot {
            global,
            ty: *ty,
            half,
        }));
    }
    slots
}

/// Builds the function that reads a number: of the globals that are imported, which have these types.
pub fn read(types: &[ValType]) -> Function {
    const NUMBER: u32 = 0;
    let slots = slots(types);
    let mut read = Function::new([]);
    let mut code = read.instructions();
    code.local_get(NUMBER)
        .i32_const(COUNT.cast_signed())
        .i32_eq();
    code.if_(BlockType::Empty)
        .i64_const(slots.len() as i64)
        .return_()
        .end();
    for (number, slot) in (0..).zip(&slots) {
        begin(&mut code, number);
        code.global_get(slot.global);
        match slot.ty {
            ValType::I64 => &mut code,
            ValType::F32 => code.i32_reinterpret_f32().i64_extend_i32_u(),
            ValType::F64 => code.i64_reinterpret_f64(),
            ValType::V128 => code.i64x2_extract_lane(slot.half),
            _ => code.i64_extend_i32_u(),
        };
        code.return_().end();
    }
    code.unreachable().end();
    read
}

/// Builds the function that writes a number: of the globals of the state module's own, which come after those that it
/// imports and have the same types.
pub fn write(types: &[ValType]) -> Function {
    const VALUE: u32 = 1;
    let mut write = Function::new([]);
    let mut code = write.instructions();
    for (number, slot) in (0..).zip(&slots(types)) {
        let saved = types.len() as u32 + slot.global;
        begin(&mut code, number);
        if slot.ty == ValType::V128 {
            code.global_get(saved);
        }
        code.local_get(VALUE);
        match slot.ty {
            ValType::I64 => &mut code,
            ValType::F32 => code.i32_wrap_i64().f32_reinterpret_i32(),
            ValType::F64 => code.f64_reinterpret_i64(),
            ValType::V128 => code.i64x2_replace_lane(slot.half),
            _ => code.i32_wrap_i64(),
        };
        code.global_set(saved).return_().end();
    }
    code.unreachable().end();
    write
}

/// Goes on where the first parameter is this number.
fn begin(code: &mut InstructionSink<'_>, number: i32) {
    code.local_get(0).i32_const(number).i32_eq();
    code.if_(BlockType::Empty);
}

/// Builds the function that calls these functions.
pub fn call_all(functions: std::ops::Range<u32>) -> Function {
    let mut function = Function::new([]);
    let mut code = function.instructions();
    for number in functions {
        code.call(number);
    }
    code.end();
    function
}
