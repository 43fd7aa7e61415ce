//! How many files the programs may have open, and by which code page they read bytes.

use tidegate_contract::StatusReport;
use tidegate_site::Site;

use super::services::Services;
use crate::finding::Report;

/// Files that the proxy has open beside connections: workers, static files, logs.
const BESIDE: u64 = 1024;

/// Whether the proxy can hold as many connections as the site file allows.
pub(super) fn open_files(site: &Site, services: &Services, running: Option<&StatusReport>, report: &mut Report) {
    const TOPIC: &str = "open files";
    let proxy = running.and_then(|running| running.proxy.as_ref()).map(|proxy| proxy.pid);
    if proxy.is_none() && services.any() {
        // Their unit raises it; this process's own says nothing of theirs.
        return;
    }
    let Some(limit) = tidegate_host::machine::file_limit(proxy) else { return };
    let wanted = site.limits.connections as u64 + BESIDE;
    let whose = if proxy.is_some() { "the proxy" } else { "a program started here" };
    if limit < wanted {
        report.warning(
            TOPIC,
            format_args!("{whose} may open {limit}, and limits.connections is {}", site.limits.connections),
            format_args!("allow {wanted} (`ulimit -Hn`, LimitNOFILE= in the unit), or lower limits.connections"),
        );
    } else {
        report.good(
            TOPIC,
            format_args!(
                "{whose} may open {}",
                if limit == u64::MAX { "any number".into() } else { limit.to_string() }
            ),
        );
    }
}

/// Whether the programs' manifest took effect. The programs themselves do not depend on it; libraries below them may.
pub(super) fn code_page(report: &mut Report) {
    const TOPIC: &str = "code page";
    match tidegate_host::machine::code_page() {
        None => {}
        Some(tidegate_host::machine::UTF_8) => report.good(TOPIC, "UTF-8 (65001), as the programs' manifest asks"),
        Some(other) => report.good(
            TOPIC,
            format_args!("{other}: this Windows does not heed the programs' manifest, which asks for UTF-8 (65001)"),
        ),
    }
}
