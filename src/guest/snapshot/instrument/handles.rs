//! This file writes the functions of the state module that concern handles. The engine gives out first the number that
//! was given up last, and where none was given up the next one.
//!
//! Numbers are put in order by a call after a request (`order`), which knows how many there may have been, or without a
//! further call at the end of the request's own (`reorder`), which knows no more than what it was told to expect.

use wasm_encoder::{BlockType, Function, InstructionSink, ValType};

/// The state module has these functions and globals for handles.
#[derive(Clone, Copy)]
pub struct Handles {
    pub new: u32,
    pub drop: u32,
    /// These numbers are expected to be free at the end of a request.
    pub expected: u32,
    /// At the end of the last request they were not.
    pub disordered: u32,
}

/// Builds the function that has the engine give out handle numbers as it did at first, up to `count`, but for those that
/// are to stay: the bits of `standing`. It takes all that are free, and gives them up from the last to the first. It
/// traps where one of them is still there, or is missing because more were in use, and where one that is to stay is gone.
pub fn order(handles: Handles) -> Function {
    let Handles {
        new,
        drop,
        disordered,
        ..
    } = handles;
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
    code.i32_const(0).global_set(disordered);
    code.end();
    order
}

/// Builds the function that does so for the numbers that are expected to be free, which have bits. Where it is given
/// another one, so that not all of them are free, it puts nothing in order and says so by the global.
pub fn reorder(handles: Handles) -> Function {
    const TAKEN: u32 = 0;
    const NUMBER: u32 = 1;
    let Handles {
        new,
        drop,
        expected,
        disordered,
    } = handles;
    let mut reorder = Function::new([(1, ValType::I64), (1, ValType::I32)]);
    let mut code = reorder.instructions();
    code.block(BlockType::Empty).loop_(BlockType::Empty);
    code.local_get(TAKEN).global_get(expected).i64_eq().br_if(1);
    code.i32_const(0).call(new).local_tee(NUMBER);
    code.i32_const(64).i32_lt_u();
    code.global_get(expected)
        .local_get(NUMBER)
        .i64_extend_i32_u();
    code.i64_shr_u().i32_wrap_i64();
    code.i32_and().if_(BlockType::Empty);
    bit(&mut code, TAKEN, NUMBER).i64_or().local_set(TAKEN);
    code.br(1).end();
    code.local_get(NUMBER).call(drop);
    code.i32_const(1).global_set(disordered);
    code.end().end();
    code.block(BlockType::Empty).loop_(BlockType::Empty);
    code.local_get(TAKEN).i64_eqz().br_if(1);
    code.i64_const(63).local_get(TAKEN).i64_clz().i64_sub();
    code.i32_wrap_i64().local_tee(NUMBER).call(drop);
    bit(&mut code, TAKEN, NUMBER).i64_xor().local_set(TAKEN);
    code.br(0).end().end();
    code.end();
    reorder
}

/// Loads a set of numbers, and the bit that a number has in it.
fn bit<'a, 'b>(
    code: &'a mut InstructionSink<'b>,
    set: u32,
    number: u32,
) -> &'a mut InstructionSink<'b> {
    code.local_get(set).i64_const(1).local_get(number);
    code.i64_extend_i32_u().i64_shl()
}

/// Builds the function that notes which numbers are expected to be free.
pub fn expect(handles: Handles) -> Function {
    let mut expect = Function::new([]);
    let mut code = expect.instructions();
    code.local_get(0).global_set(handles.expected).end();
    expect
}

/// Traps where the numbers of handles are not in order.
pub fn require_order(code: &mut InstructionSink<'_>, handles: Handles) {
    code.global_get(handles.disordered).if_(BlockType::Empty);
    code.unreachable().end();
}

/// Builds the function that calls `reorder` where a task has ended, as this number says: the last four bits are nought
/// then (component model, CanonicalABI.md, `unpack_callback_result`). It gives the number.
pub fn reorder_at_exit(reorder: u32) -> Function {
    let mut at_exit = Function::new([]);
    let mut code = at_exit.instructions();
    code.local_get(0).i32_const(15).i32_and().i32_eqz();
    code.if_(BlockType::Empty).call(reorder).end();
    code.local_get(0).end();
    at_exit
}

/// Builds the function that calls a task's own callback, and then does the same.
pub fn callback(own: u32, at_exit: u32) -> Function {
    let mut callback = Function::new([]);
    let mut code = callback.instructions();
    code.local_get(0).local_get(1).local_get(2);
    code.call(own).call(at_exit).end();
    callback
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
