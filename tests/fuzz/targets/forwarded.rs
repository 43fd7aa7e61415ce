//! X-Forwarded-* and Forwarded of anyone, trusted or not.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_proxy::fuzz::forwarded(data));
