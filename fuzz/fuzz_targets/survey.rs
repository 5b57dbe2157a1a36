//! Components are surveyed whatever their bytes are.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wasmserve::fuzzing::survey(bytes));
