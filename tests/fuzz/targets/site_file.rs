//! Any bytes as a site file: checked, or refused with reasons that can be shown.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_site::fuzz::site_file(data));
