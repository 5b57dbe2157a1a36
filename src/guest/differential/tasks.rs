//! This file makes a module that uses what is asynchronous: streams, sets of them, and what a task keeps. It gives
//! things up in one order or another, and at times not at all, and tells the numbers of all that it was given, and in
//! which order events arrive that come at the same time.

use super::modules::Made;
use arbitrary::{Error, Result};
use wasm_encoder::{
    CanonicalOption, ComponentBuilder, ComponentValType, ExportKind, ModuleArg, PrimitiveValType,
    ValType,
};

/// This takes the place of `step` where the component is asynchronous.
const TASKS: &str = r#"(module
    (import "" "memory" (memory 1))
    (import "" "stream" (func $stream (result i64)))
    (import "" "read" (func $read (param i32 i32 i32) (result i32)))
    (import "" "drop-reader" (func $drop-reader (param i32)))
    (import "" "drop-writer" (func $drop-writer (param i32)))
    (import "" "set" (func $set (result i32)))
    (import "" "join" (func $join (param i32 i32)))
    (import "" "poll" (func $poll (param i32 i32) (result i32)))
    (import "" "drop-set" (func $drop-set (param i32)))
    (import "" "keep" (func $keep (param i32)))
    (import "" "kept" (func $kept (result i32)))
    (global $seen (mut i32) (i32.const 0))
    (func $saw (param i32)
      (global.set $seen (i32.add (local.get 0) (i32.mul (global.get $seen) (i32.const 31)))))
    (func $reader (param i64) (result i32) (i32.wrap_i64 (local.get 0)))
    (func $writer (param i64) (result i32) (i32.wrap_i64 (i64.shr_u (local.get 0) (i64.const 32))))
    (func $event (param $set i32)
      (call $saw (call $poll (local.get $set) (i32.const 64)))
      (call $saw (i32.load (i32.const 64)))
      (call $saw (i32.load (i32.const 68))))
    (func (export "step") (param $how i32) (result i32)
      (local $one i64) (local $other i64) (local $set i32)
      (global.set $seen (call $kept))
      (call $keep (local.get $how))
      (local.set $one (call $stream))
      (local.set $set (call $set))
      (local.set $other (call $stream))
      (if (i32.and (local.get $how) (i32.const 2))
        (then
          (call $drop-writer (call $writer (local.get $one)))
          (call $drop-reader (call $reader (local.get $one)))
          (local.set $one (call $stream))))
      (call $saw (call $reader (local.get $one)))
      (call $saw (call $writer (local.get $one)))
      (call $saw (call $reader (local.get $other)))
      (call $saw (call $writer (local.get $other)))
      (call $saw (local.get $set))
      (call $saw (call $read (call $reader (local.get $one)) (i32.const 80) (i32.const 1)))
      (call $saw (call $read (call $reader (local.get $other)) (i32.const 84) (i32.const 1)))
      (call $join (call $reader (local.get $one)) (local.get $set))
      (call $join (call $reader (local.get $other)) (local.get $set))
      (call $event (local.get $set))
      (if (i32.and (local.get $how) (i32.const 4))
        (then
          (call $drop-writer (call $writer (local.get $other)))
          (call $drop-writer (call $writer (local.get $one))))
        (else
          (call $drop-writer (call $writer (local.get $one)))
          (call $drop-writer (call $writer (local.get $other)))))
      (call $event (local.get $set))
      (call $event (local.get $set))
      (call $event (local.get $set))
      (if (i32.eqz (i32.rem_u (local.get $how) (i32.const 5)))
        (then (drop (call $stream))))
      (if (i32.and (local.get $how) (i32.const 1))
        (then
          (call $drop-reader (call $reader (local.get $one)))
          (call $drop-reader (call $reader (local.get $other)))
          (call $drop-set (local.get $set)))
        (else
          (call $join (call $reader (local.get $one)) (i32.const 0))
          (call $drop-reader (call $reader (local.get $other)))
          (if (i32.rem_u (local.get $how) (i32.const 7))
            (then (call $drop-set (local.get $set))))
          (call $drop-reader (call $reader (local.get $one)))))
      (call $saw (call $kept))
      (global.get $seen)))"#;

/// Appends the module and what it imports to a component, where this is a memory, and gives its instance.
pub fn instance(body: &mut ComponentBuilder, memory: u32) -> Result<(u32, Made)> {
    let (stream, encoder) = body.type_defined(None);
    encoder.stream(Some(ComponentValType::Primitive(PrimitiveValType::U8)));
    let options = [CanonicalOption::Async, CanonicalOption::Memory(memory)];
    let functions = [
        ("stream", body.stream_new(stream)),
        ("read", body.stream_read(stream, options)),
        ("drop-reader", body.stream_drop_readable(stream)),
        ("drop-writer", body.stream_drop_writable(stream)),
        ("set", body.waitable_set_new()),
        ("join", body.waitable_join()),
        ("poll", body.waitable_set_poll(false, memory)),
        ("drop-set", body.waitable_set_drop()),
        ("keep", body.context_set(ValType::I32, 0)),
        ("kept", body.context_get(ValType::I32, 0)),
    ];
    let mut items = vec![("memory", ExportKind::Memory, memory)];
    items.extend(functions.map(|(name, index)| (name, ExportKind::Func, index)));
    let items = body.core_instantiate_exports(None, items);
    let made = Made::of_text(TASKS).ok_or(Error::IncorrectFormat)?;
    let module = body.core_module_raw(None, &made.bytes);
    let instance = body.core_instantiate(None, module, [("", ModuleArg::Instance(items))]);
    Ok((instance, made))
}
