//! What an executable leaves to the next is understood or refused.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wasmserve::fuzzing::handover(bytes));
