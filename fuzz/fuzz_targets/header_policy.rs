//! Strangers' fields change nothing that is believed of a request.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wasmserve::fuzzing::header_policy(bytes));
