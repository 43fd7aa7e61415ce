//! A chunked body is judged alike however it is cut, and what passes an independent decoder reads to the same end.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_proxy::fuzz::chunks(data));
