//! A recording of a request is read or refused, and replayed whatever it says.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wasmserve::fuzzing::recording(bytes));
