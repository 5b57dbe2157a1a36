//! A request goes to the mount where other readers of its target would have it go, or is refused.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wasmserve::fuzzing::mount_choice(bytes));
