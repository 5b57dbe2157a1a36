//! A configuration file sets the options that it names and no others, or is refused.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wasmserve::fuzzing::config_file(bytes));
