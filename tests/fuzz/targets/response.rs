//! Any bytes as a worker's response: the same however they are cut, and read by hyper alike.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_proxy::fuzz::response(data));
