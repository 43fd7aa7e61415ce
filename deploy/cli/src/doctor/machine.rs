//! The machine's clock, and how many files its programs may have open.

use std::fs;
use std::time::{Duration, SystemTime};

use tidegate_contract::StatusReport;
use tidegate_site::Site;

use super::services::Services;
use crate::finding::Report;

/// File systems keep times to two seconds at the coarsest.
const SKEW: Duration = Duration::from_secs(5);

/// Files that the proxy has open beside connections: workers, static files, logs.
const BESIDE: u64 = 1024;

/// Whether it is kept by another clock, and agrees with that of the disk, which may be another machine's.
pub(super) fn clock(site: &Site, report: &mut Report) {
    const TOPIC: &str = "clock";
    let skew = disk_skew(site).filter(|skew| *skew > SKEW);
    if let Some(skew) = skew {
        report.warning(
            TOPIC,
            format_args!(
                "the file system of {} is {} s away from this machine's clock",
                site.state_dir.display(),
                skew.as_secs()
            ),
            "let both machines take their time from one source; certificates, caches and log files rely on it",
        );
    }
    match tidegate_host::machine::is_clock_synchronised() {
        Some(false) => report.warning(
            TOPIC,
            "it is not synchronised: certificates may seem expired, or not valid yet",
            "`timedatectl set-ntp true`, or another time service",
        ),
        Some(true) if skew.is_none() => report.good(TOPIC, "it is synchronised"),
        None if skew.is_none() => {
            report.good(TOPIC, "it agrees with the file system; whether another clock keeps it is unknown");
        }
        _ => {}
    }
}

/// How far the time of a file written now is from now.
fn disk_skew(site: &Site) -> Option<Duration> {
    let existing = site.state_dir.ancestors().find(|path| path.exists())?;
    let probe = existing.join(format!(".tidegate-doctor-{}", std::process::id()));
    let before = SystemTime::now();
    fs::write(&probe, b"").ok()?;
    let modified = fs::metadata(&probe).and_then(|metadata| metadata.modified());
    let after = SystemTime::now();
    let removed = fs::remove_file(&probe);
    let modified = removed.and(modified).ok()?;
    let early = before.duration_since(modified).unwrap_or_default();
    Some(early.max(modified.duration_since(after).unwrap_or_default()))
}

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
