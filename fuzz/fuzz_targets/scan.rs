//! Components are scanned whatever their bytes are.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wasmserve::fuzzing::scan(bytes));
