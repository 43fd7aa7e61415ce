//! Whether the machine's clock is kept by another one, and agrees with that of its disks.

use std::fs;
use std::time::{Duration, SystemTime};

use tidegate_host::machine::{Clock, TimeService};
use tidegate_host::{ServiceState, StartType};
use tidegate_site::Site;

use crate::finding::{Finding, Report, Verdict};

const TOPIC: &str = "clock";

/// File systems keep times to two seconds at the coarsest.
const SKEW: Duration = Duration::from_secs(5);

/// From here on Linux gives up on a clock that nobody has corrected.
const LOST: Duration = Duration::from_secs(16);

/// Looks at both.
pub(super) fn look(site: &Site, report: &mut Report) {
    let skew = disk_skew(site);
    if let Some(skew) = skew.filter(|skew| *skew > SKEW) {
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
    match tidegate_host::machine::clock() {
        Ok(clock) => report.add(judge(&clock)),
        Err(error) => report.unknown(TOPIC, format_args!("whether another clock keeps it: {error}")),
    }
    match skew {
        Some(skew) if skew > SKEW => {}
        Some(_) => report.good(TOPIC, "it agrees with the file system"),
        None => report.unknown(
            TOPIC,
            format_args!("whether it agrees with the file system: no file can be made in {}", site.state_dir.display()),
        ),
    }
}

fn judge(clock: &Clock) -> Finding {
    let (verdict, text, next) = match clock {
        // Some services set that mark to keep the kernel's hands off the hardware's clock, and steer it all the same.
        Clock::Kernel { is_unsynchronised: true, error } if *error >= LOST => (
            Verdict::Warning,
            "it is not synchronised: certificates may seem expired, or not valid yet".to_owned(),
            "`timedatectl set-ntp true`, or another time service (chrony, ntpd)".to_owned(),
        ),
        Clock::Kernel { error, .. } => (
            Verdict::Good,
            format!("it is synchronised, to {} ms by the kernel's account", error.as_millis()),
            String::new(),
        ),
        Clock::Service(service) => of_service(service),
    };
    Finding { verdict, topic: TOPIC.to_owned(), text, next: verdict.is_bad().then_some(next) }
}

fn of_service(service: &TimeService) -> (Verdict, String, String) {
    let TimeService { state, start, source, servers } = service;
    let bad = |text: &str, next: &str| (Verdict::Warning, format!("{text}: {UNKEPT}"), format!("{next}, {OTHERS}"));
    let servers = named(servers.as_deref().unwrap_or_default());
    match (state, source.as_deref()) {
        (ServiceState::Missing, _) => (
            Verdict::Unknown,
            "whether another clock keeps it: Windows has no time service (w32time) here".to_owned(),
            String::new(),
        ),
        _ if *start == Some(StartType::Disabled) => bad("the time service of Windows (w32time) is disabled", START),
        (ServiceState::Stopped | ServiceState::Stopping | ServiceState::Failed { .. }, _) => {
            bad("the time service of Windows (w32time) does not run", START)
        }
        (_, Some("NoSync")) => bad("the time service of Windows takes the time from nobody (NoSync)", CONFIGURE),
        (_, Some("NTP")) if servers.is_empty() => {
            bad("the time service of Windows is to ask servers, and none is named", CONFIGURE)
        }
        (_, source) => {
            let from = match source {
                Some("NTP") => servers,
                Some("NT5DS") => "its domain".to_owned(),
                Some("AllSync") if servers.is_empty() => "its domain".to_owned(),
                Some("AllSync") => format!("its domain and {servers}"),
                _ => "a source that is unknown".to_owned(),
            };
            let text = format!(
                "the time service of Windows runs, from {from}; whether it is reached says `w32tm /query /status`"
            );
            (if source.is_some() { Verdict::Good } else { Verdict::Unknown }, text, String::new())
        }
    }
}

const UNKEPT: &str = "certificates may seem expired, or not valid yet, when the clock has drifted";
const OTHERS: &str = "unless another program keeps the clock; `w32tm /query /status` shows how it stands";
const START: &str = "as administrator: `Set-Service w32time -StartupType Automatic; Start-Service w32time`";
const CONFIGURE: &str =
    "as administrator: `w32tm /config /manualpeerlist:SERVER /syncfromflags:manual /update`, then `w32tm /resync`";

/// `time.windows.com,0x9 b,0x8` without the flags.
fn named(servers: &str) -> String {
    let names: Vec<&str> = servers
        .split_ascii_whitespace()
        .filter_map(|server| server.split(',').next())
        .filter(|name| !name.is_empty())
        .collect();
    names.join(", ")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_nobody_keeps_is_a_warning_with_a_next_step() {
        let kernel =
            |is_unsynchronised, seconds| Clock::Kernel { is_unsynchronised, error: Duration::from_secs(seconds) };
        let service = |state, start, source: &str, servers: &str| {
            let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            Clock::Service(TimeService { state, start: Some(start), source: text(source), servers: text(servers) })
        };
        let running = |source: &str, servers: &str| {
            service(ServiceState::Running { pid: 4 }, StartType::Automatic, source, servers)
        };
        for (clock, verdict, text) in [
            (kernel(false, 0), Verdict::Good, "it is synchronised, to 0 ms"),
            (kernel(true, 16), Verdict::Warning, "not synchronised"),
            (kernel(true, 1), Verdict::Good, "it is synchronised, to 1000 ms"),
            (running("NT5DS", "time.windows.com,0x9"), Verdict::Good, "from its domain;"),
            (running("NTP", "a.example,0x9 b.example,0x8"), Verdict::Good, "from a.example, b.example;"),
            (running("NTP", " ,0x9"), Verdict::Warning, "none is named"),
            (running("AllSync", "a.example"), Verdict::Good, "its domain and a.example;"),
            (running("NoSync", ""), Verdict::Warning, "from nobody"),
            (running("", ""), Verdict::Unknown, "unknown;"),
            (service(ServiceState::Stopped, StartType::Manual, "NTP", "a"), Verdict::Warning, "does not run"),
            (service(ServiceState::Stopped, StartType::Disabled, "NTP", "a"), Verdict::Warning, "is disabled"),
            (service(ServiceState::Missing, StartType::Manual, "", ""), Verdict::Unknown, "no time service"),
        ] {
            let finding = judge(&clock);
            assert_eq!(finding.verdict, verdict, "{clock:?}");
            assert!(finding.text.contains(text), "{clock:?}: {}", finding.text);
            assert_eq!(finding.next.is_some(), verdict.is_bad(), "{clock:?}");
        }
    }
}
