//! The report of `tidegate up` once the site serves.

use std::fmt::Write as _;

use tidegate_contract::{AppPhase, AppState, StatusReport, WorkerPhase};
use time::OffsetDateTime;

use crate::status::{certificate_line, purpose};
use crate::style::Style;

/// Width of the first column.
const LABEL: usize = 30;

/// What is served, where.
pub(crate) fn show(report: &StatusReport, now: OffsetDateTime, style: Style) -> String {
    let mut out = format!("\n{} serves {}\n\n", style.strong(format_args!("Tidegate {}", report.version)), report.site);
    let mut line = |label: &str, text: &str| {
        // The padding stands outside the colour. Writing to a String cannot fail.
        let gap = " ".repeat(LABEL.saturating_sub(label.chars().count()).max(1));
        let _ = writeln!(out, "  {}{gap}{text}", style.strong(label));
    };
    let proxy = report.proxy.iter();
    for listener in proxy.clone().flat_map(|proxy| &proxy.listeners) {
        line(&listener.url, &purpose(listener));
    }
    for app in &report.pool.apps {
        line(&format!("app {}", app.name), &app_line(app, style));
    }
    for certificate in proxy.clone().flat_map(|proxy| &proxy.certificates) {
        line("certificate", &certificate_line(certificate, now, style));
        if certificate.self_signed {
            line("", "Browsers warn of a self-signed one. `certificates` in the site file names a real one.");
        }
    }
    for metrics in proxy.filter_map(|proxy| proxy.metrics.as_ref()) {
        line("metrics", &format!("http://{metrics}/metrics"));
    }
    out.push('\n');
    out
}

fn app_line(app: &AppState, style: Style) -> String {
    if app.phase == AppPhase::Failed {
        let detail = app.detail.as_deref().unwrap_or("see the log above").trim_end();
        let detail = detail.lines().last().unwrap_or_default();
        return format!("{} {detail}", style.bad("failed to start:"));
    }
    let ready: Vec<_> = app.workers.iter().filter(|worker| worker.phase == WorkerPhase::Ready).collect();
    let threads = ready.iter().map(|worker| worker.threads_max).max().unwrap_or_default();
    let pids: Vec<String> = ready.iter().map(|worker| worker.pid.to_string()).collect();
    let workers = match ready.len() {
        1 => "1 worker".to_owned(),
        many => format!("{many} workers"),
    };
    let mut pythons: Vec<&str> = ready.iter().map(|worker| worker.python.as_str()).collect();
    pythons.dedup();
    let (ready, pythons, pids) = (style.good("ready:"), pythons.join(", "), pids.join(", "));
    format!("{ready} {workers} of up to {threads} threads, Python {pythons}, process {pids}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_contract::{CertificateReport, ListenerReport, MaintenanceState, PoolState, ProxyReport, WorkerState};

    fn app(name: &str, phase: AppPhase, detail: Option<&str>, pids: &[u32]) -> AppState {
        let worker = |(slot, pid): (usize, &u32)| WorkerState {
            slot: u32::try_from(slot).unwrap(),
            generation: 1,
            endpoint: String::new(),
            threads_max: 64,
            phase: WorkerPhase::Ready,
            pid: *pid,
            threads_busy: 0,
            threads: 4,
            memory_bytes: 80 << 20,
            cpu_ms: 1_500,
            python: "3.13.0".to_owned(),
        };
        AppState {
            name: name.to_owned(),
            phase,
            detail: detail.map(str::to_owned),
            workers: pids.iter().enumerate().map(worker).collect(),
            restarts: Vec::new(),
        }
    }

    #[test]
    fn the_report_says_where_and_what() {
        let listener = |port: u16, tls: bool| ListenerReport {
            address: format!("[::]:{port}"),
            url: format!("{}://localhost:{port}/", if tls { "https" } else { "http" }),
            tls,
            redirects: !tls,
        };
        let report = StatusReport {
            pid: 1,
            version: "0.1.0".to_owned(),
            site: "/srv/tidegate.yaml".to_owned(),
            pool: PoolState {
                apps: vec![
                    app("shop", AppPhase::Ready, None, &[11, 12]),
                    app("wiki", AppPhase::Failed, Some("Traceback\nValueError: no\n"), &[]),
                ],
            },
            maintenance: MaintenanceState::default(),
            proxy: Some(ProxyReport {
                pid: 2,
                version: "0.1.0".to_owned(),
                listeners: vec![listener(8443, true), listener(8080, false)],
                certificates: vec![CertificateReport {
                    source: "self-signed: /srv/.tidegate/cert.pem".to_owned(),
                    names: vec!["localhost".to_owned()],
                    not_after: "1970-02-01T00:00:00Z".to_owned(),
                    self_signed: true,
                }],
                metrics: Some("127.0.0.1:9145".to_owned()),
                digest: String::new(),
            }),
        };
        let expected = "
Tidegate 0.1.0 serves /srv/tidegate.yaml

  https://localhost:8443/       HTTP/1.1 and HTTP/2 over TLS, on [::]:8443
  http://localhost:8080/        redirects to https, on [::]:8080
  app shop                      ready: 2 workers of up to 64 threads, Python 3.13.0, process 11, 12
  app wiki                      failed to start: ValueError: no
  certificate                   self-signed: /srv/.tidegate/cert.pem for localhost, until 1970-02-01 (31 days left)
                                Browsers warn of a self-signed one. `certificates` in the site file names a real one.
  metrics                       http://127.0.0.1:9145/metrics

";
        assert_eq!(show(&report, OffsetDateTime::UNIX_EPOCH, Style::plain()), expected);
    }
}
