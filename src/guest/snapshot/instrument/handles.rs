//! This file writes the functions of the state module that concern handles. The engine gives out first the number that
//! was given up last, and where none was given up the next one.

use wasm_encoder::{BlockType, Function, ValType};

/// Builds the function that has the engine give out handle numbers as it did at first, up to `count`, but for those that
/// are to stay: the bits of `standing`. It takes all that are free, and gives them up from the last to the first. It
/// traps where one of them is still there, or is missing because more were in use, and where one that is to stay is gone.
pub fn order(new: u32, drop: u32) -> Function {
    const COUNT: u32 = 0;
    const STANDING: u32 = 1;
    const LEFT: u32 = 2;
    let mut order = Function::new([(1, ValType::I32)]);
    let mut code = order.instructions();
    code.local_get(STANDING).i64_popcnt().i32_wrap_i64();
    code.local_set(LEFT);
    code.local_get(COUNT).local_get(LEFT).i32_sub();
    code.local_set(LEFT);
    code.block(BlockType::Empty).loop_(BlockType::Empty);
    code.local_get(LEFT).i32_eqz().br_if(1);
    code.i32_const(0).call(new).drop();
    code.local_get(LEFT).i32_const(1).i32_sub().local_set(LEFT);
    code.br(0).end().end();
    code.block(BlockType::Empty).loop_(BlockType::Empty);
    code.local_get(COUNT).i32_eqz().br_if(1);
    // Numbers of 64 and more have no bit.
    code.local_get(COUNT).i32_const(64).i32_lt_u();
    code.local_get(STANDING).local_get(COUNT).i64_extend_i32_u();
    code.i64_shr_u().i32_wrap_i64();
    code.i32_and().i32_eqz().if_(BlockType::Empty);
    code.local_get(COUNT).call(drop).end();
    code.local_get(COUNT)
        .i32_const(1)
        .i32_sub()
        .local_set(COUNT);
    code.br(0).end().end();
    code.end();
    order
}

/// Builds the function that takes a number.
pub fn take(new: u32) -> Function {
    let mut take = Function::new([]);
    take.instructions().i32_const(0).call(new).end();
    take
}

/// Builds the function that gives a number up, by this function.
pub fn give(drop: u32) -> Function {
    let mut give = Function::new([]);
    give.instructions().local_get(0).call(drop).end();
    give
}

/// Builds the function that gives the number that it was given.
pub fn same() -> Function {
    let mut same = Function::new([]);
    same.instructions().local_get(0).end();
    same
}
