//! A PROXY header is read or refused.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wasmserve::fuzzing::proxy_header(bytes));
