//! No path names a file outside the root, an alias or a device.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_proxy::fuzz::static_path(data));
