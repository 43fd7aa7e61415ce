//! `tidegate status`: what the running site does, as a table for people or JSON for machines.

use std::fmt::Write as _;
use std::path::Path;

use tidegate_certs::EXPIRY_WARNING_DAYS;
use tidegate_contract::{
    AppPhase, AppState, CertificateReport, ListenerReport, ProxyReport, StatusReport, WorkerPhase, WorkerState,
};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::args;
use crate::control::connect;
use crate::failure::Failure;
use crate::style::Style;
use crate::table::{Cell, Tone, render};

/// Runs the command.
pub(crate) async fn run(config: &Path, arguments: &args::Status, style: Style) -> Result<(), Failure> {
    let mut control = connect(config).await?;
    let report = control.status().await.map_err(|error| error.into_failure())?;
    if arguments.json {
        let json = serde_json::to_string_pretty(&report).map_err(|error| Failure::new(error.to_string()))?;
        println!("{json}");
    } else {
        print!("{}", show(&report, OffsetDateTime::now_utc(), style));
    }
    Ok(())
}

/// The whole report.
fn show(report: &StatusReport, now: OffsetDateTime, style: Style) -> String {
    let mut out = format!("{} ({}, app server {})\n\n", style.strong(&report.site), report.version, report.pid);
    let rows: Vec<_> = report.pool.apps.iter().flat_map(rows).collect();
    out.push_str(&render(HEAD, &rows, style));
    for app in &report.pool.apps {
        if let Some(detail) = &app.detail {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "\n{} {}", style.bad(format_args!("{}:", app.name)), detail.trim_end());
        }
    }
    out.push('\n');
    out.push_str(&crate::maintenance::show(&report.maintenance, style));
    match &report.proxy {
        Some(proxy) => out.push_str(&proxy_lines(proxy, now, style)),
        None => {
            let _ = writeln!(out, "{}", style.bad("no proxy is connected: nobody can reach the site"));
        }
    }
    out
}

const COLUMNS: usize = 11;
const HEAD: [&str; COLUMNS] =
    ["APP", "WORKER", "PHASE", "PID", "PYTHON", "BUSY", "THREADS", "MAX", "MEMORY", "CPU", "RESTARTS"];

/// One row a worker; an app without workers has one as well.
fn rows(app: &AppState) -> Vec<[Cell; COLUMNS]> {
    let phase = match app.phase {
        AppPhase::Starting => Cell::toned("starting", Tone::Warning),
        AppPhase::Ready => Cell::toned("ready", Tone::Good),
        AppPhase::Failed => Cell::toned("failed", Tone::Bad),
        AppPhase::Stopping => Cell::toned("stopping", Tone::Warning),
    };
    let restarts = restarts(app);
    if app.workers.is_empty() || app.phase == AppPhase::Failed {
        let mut row = [const { "-" }; COLUMNS].map(Cell::new);
        (row[0], row[2], row[COLUMNS - 1]) = (Cell::new(&app.name), phase, Cell::new(restarts));
        return vec![row];
    }
    let row = |(index, worker): (usize, &WorkerState)| {
        let phase = match worker.phase {
            WorkerPhase::Starting => Cell::toned("starting", Tone::Warning),
            WorkerPhase::Ready => Cell::toned("ready", Tone::Good),
            WorkerPhase::Unresponsive => Cell::toned("unresponsive", Tone::Bad),
            WorkerPhase::Draining => Cell::toned("draining", Tone::Warning),
        };
        [
            Cell::new(&app.name),
            Cell::new(worker.slot),
            phase,
            Cell::new(worker.pid),
            Cell::new(if worker.python.is_empty() { "-" } else { &worker.python }),
            Cell::new(worker.threads_busy),
            Cell::new(worker.threads),
            Cell::new(worker.threads_max),
            Cell::new(memory(worker.memory_bytes)),
            Cell::new(cpu(worker.cpu_ms)),
            // They are counted for the app, so one of its rows shows them.
            Cell::new(if index == 0 { restarts.as_str() } else { "" }),
        ]
    };
    app.workers.iter().enumerate().map(row).collect()
}

/// `80 MiB`, `1.5 GiB`; a dash before the first heartbeat.
pub(crate) fn memory(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    match bytes {
        0 => "-".to_owned(),
        _ if bytes < 1024 * MIB => format!("{} MiB", bytes.div_ceil(MIB)),
        _ => format!("{:.1} GiB", bytes as f64 / (1024 * MIB) as f64),
    }
}

/// `1.5 s`, `12 min`, `3.4 h` of processor time.
pub(crate) fn cpu(milliseconds: u64) -> String {
    let seconds = milliseconds as f64 / 1000.0;
    match milliseconds {
        0..100_000 => format!("{seconds:.1} s"),
        100_000..6_000_000 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.1} h", seconds / 3600.0),
    }
}

/// `3 (died 2, timeout 1)`.
fn restarts(app: &AppState) -> String {
    let counted: Vec<_> = app.restarts.iter().filter(|(_, count)| *count > 0).collect();
    let total: u64 = counted.iter().map(|(_, count)| count).sum();
    if total == 0 {
        return "0".to_owned();
    }
    let reasons: Vec<String> = counted.iter().map(|(reason, count)| format!("{} {count}", reason.label())).collect();
    format!("{total} ({})", reasons.join(", "))
}

fn proxy_lines(proxy: &ProxyReport, now: OffsetDateTime, style: Style) -> String {
    let mut out = format!("proxy {} ({})\n", proxy.pid, proxy.version);
    for listener in &proxy.listeners {
        let _ = writeln!(out, "  {:<34} {}", listener.url, purpose(listener));
    }
    for certificate in &proxy.certificates {
        let _ = writeln!(out, "  certificate {}", certificate_line(certificate, now, style));
    }
    if let Some(metrics) = &proxy.metrics {
        let _ = writeln!(out, "  metrics http://{metrics}/metrics");
    }
    out
}

/// What a listener is for.
pub(crate) fn purpose(listener: &ListenerReport) -> String {
    let purpose = match (listener.redirects, listener.tls) {
        (true, _) => "redirects to https",
        (false, true) => "HTTP/1.1 and HTTP/2 over TLS",
        (false, false) => "plain HTTP/1.1",
    };
    format!("{purpose}, on {}", listener.address)
}

/// Source, names and end of a certificate, with a warning when the end is near.
pub(crate) fn certificate_line(certificate: &CertificateReport, now: OffsetDateTime, style: Style) -> String {
    let names = certificate.names.join(", ");
    let kind = if certificate.self_signed { "self-signed: " } else { "" };
    let source = certificate.source.trim_start_matches(kind);
    let line = format!("{kind}{source} for {names}, until {}", day(&certificate.not_after));
    let days = OffsetDateTime::parse(&certificate.not_after, &Rfc3339).map(|end| (end - now).whole_days());
    match days {
        Ok(days) if days < 0 => format!("{line} {}", style.bad("(EXPIRED)")),
        Ok(days) if days < EXPIRY_WARNING_DAYS => {
            format!("{line} {}", style.warning(format_args!("({days} days left)")))
        }
        Ok(days) => format!("{line} ({days} days left)"),
        Err(_) => line,
    }
}

/// The date of an RFC 3339 time stamp.
fn day(stamp: &str) -> &str {
    stamp.split('T').next().unwrap_or(stamp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_contract::{MaintenanceState, PoolState, RestartReason};

    fn worker(slot: u32, phase: WorkerPhase) -> WorkerState {
        WorkerState {
            slot,
            generation: 1,
            endpoint: "tcp:127.0.0.1:1".to_owned(),
            threads_max: 64,
            phase,
            pid: 4000 + slot,
            threads_busy: slot,
            threads: 4,
            memory_bytes: 80 << 20,
            cpu_ms: 1_500,
            python: "3.13.0".to_owned(),
        }
    }

    fn app(name: &str, phase: AppPhase, workers: Vec<WorkerState>) -> AppState {
        AppState { name: name.to_owned(), phase, detail: None, workers, restarts: Vec::new() }
    }

    fn certificate(not_after: &str) -> CertificateReport {
        CertificateReport {
            source: "tls/shop.pem".to_owned(),
            names: vec!["shop.example".to_owned()],
            not_after: not_after.to_owned(),
            self_signed: false,
        }
    }

    #[test]
    fn the_table_has_a_row_for_each_worker_and_each_failed_app() {
        let mut shop =
            app("shop", AppPhase::Ready, vec![worker(0, WorkerPhase::Ready), worker(1, WorkerPhase::Unresponsive)]);
        shop.restarts = vec![(RestartReason::Died, 2), (RestartReason::Timeout, 1), (RestartReason::Reload, 0)];
        let mut wiki = app("wiki", AppPhase::Failed, vec![]);
        wiki.detail = Some("ModuleNotFoundError: No module named 'wiki'\n".to_owned());
        let report = StatusReport {
            pid: 7,
            version: "0.1.0".to_owned(),
            site: "/srv/tidegate.yaml".to_owned(),
            pool: PoolState { apps: vec![shop, wiki] },
            maintenance: MaintenanceState::default(),
            proxy: None,
        };
        let expected = "\
/srv/tidegate.yaml (0.1.0, app server 7)

APP   WORKER  PHASE         PID   PYTHON  BUSY  THREADS  MAX  MEMORY  CPU    RESTARTS
shop  0       ready         4000  3.13.0  0     4        64   80 MiB  1.5 s  3 (died 2, timeout 1)
shop  1       unresponsive  4001  3.13.0  1     4        64   80 MiB  1.5 s
wiki  -       failed        -     -       -     -        -    -       -      0

wiki: ModuleNotFoundError: No module named 'wiki'

no proxy is connected: nobody can reach the site
";
        assert_eq!(show(&report, OffsetDateTime::UNIX_EPOCH, Style::plain()), expected);
    }

    #[test]
    fn figures_are_as_coarse_as_people_read_them() {
        for (bytes, text) in [(0, "-"), (1, "1 MiB"), (80 << 20, "80 MiB"), (1536 << 20, "1.5 GiB")] {
            assert_eq!(memory(bytes), text);
        }
        for (milliseconds, text) in [(0, "0.0 s"), (1_540, "1.5 s"), (720_000, "12 min"), (12_240_000, "3.4 h")] {
            assert_eq!(cpu(milliseconds), text);
        }
    }

    #[test]
    fn a_certificate_near_its_end_says_so() {
        let now = OffsetDateTime::parse("2026-11-22T00:00:00Z", &Rfc3339).unwrap();
        for (end, says) in [
            ("2027-11-22T00:00:00Z", "until 2027-11-22 (365 days left)"),
            ("2026-12-01T00:00:00Z", "until 2026-12-01 (9 days left)"),
            ("2026-11-20T00:00:00Z", "until 2026-11-20 (EXPIRED)"),
            ("whenever", "until whenever"),
        ] {
            let line = certificate_line(&certificate(end), now, Style::plain());
            assert!(line.ends_with(says), "{line}");
        }
    }
}
