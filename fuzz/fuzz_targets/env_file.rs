//! A file of variables is read or refused.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wasmserve::fuzzing::env_file(bytes));
