//! Restored instances beside fresh ones: `cargo fuzz run -s none snapshot` on a stable compiler.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wasmserve::fuzzing::snapshot(bytes));
