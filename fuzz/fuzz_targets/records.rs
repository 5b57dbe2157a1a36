//! Messages of children are sound or garbage.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wasmserve::fuzzing::records(bytes));
