//! Whatever the raw-header check lets through, an independent parser reads whole and in the same way.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_proxy::fuzz::raw_header(data));
