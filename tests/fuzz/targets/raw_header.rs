//! Whatever the raw-header check lets through, an independent parser reads whole and in the same way.
#![no_main]

use std::sync::LazyLock;

static LIMITS: LazyLock<tidegate_site::Limits> = LazyLock::new(tidegate_site::fuzz::limits);

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_proxy::fuzz::raw_header(data, &LIMITS));
