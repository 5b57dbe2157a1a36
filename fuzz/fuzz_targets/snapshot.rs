//! Restored instances are as fresh ones.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wasmserve::fuzzing::snapshot(bytes));
