//! Conditional fields against a file's validator.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_proxy::fuzz::conditional(data));
