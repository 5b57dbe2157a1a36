//! HTTP/1 requests end where hyper sees them end.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wasmserve::fuzzing::http1(bytes));
