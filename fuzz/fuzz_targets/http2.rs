//! HTTP/2 frames are counted alike whatever the pieces.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wasmserve::fuzzing::http2(bytes));
