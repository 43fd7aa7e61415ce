//! Any Accept-Encoding has an answer, and never a coding that was not accepted.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_proxy::fuzz::accept_encoding(data));
