//! `tidegate check`: everything that can be known about a site before it starts. It changes nothing;
//! the apps are imported by the app server's program, in a worker started for nothing else.

use std::fmt::{self, Display};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tidegate_certs::Certificate;
use tidegate_contract::StatusReport;
use tidegate_host::Spawn;
use tidegate_site::Site;
use time::OffsetDateTime;

use crate::args;
use crate::control::Control;
use crate::failure::Failure;
use crate::status::EXPIRY_WARNING_DAYS;
use crate::style::Style;
use crate::up::program;

/// To find out whether the site runs.
const CONNECT: Duration = Duration::from_millis(500);

/// What the import of all apps may take beyond the slowest `start_timeout`.
const MARGIN: Duration = Duration::from_secs(30);

/// How one thing looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Good,
    Warning,
    Problem,
}

/// The lines written so far, counted.
struct Report {
    style: Style,
    warnings: usize,
    problems: usize,
}

/// Runs the command.
pub(crate) async fn run(config: &Path, arguments: &args::Check, style: Style) -> Result<(), Failure> {
    let site = tidegate_site::load(config).map_err(|error| Failure::configuration(config, &error))?;
    let mut report = Report { style, warnings: 0, problems: 0 };
    report.line(Verdict::Good, "site file", site.file.display());
    certificates(&site, OffsetDateTime::now_utc(), &mut report);
    let running = running(&site).await;
    for (name, address) in addresses(&site) {
        let (verdict, text) = port(address, running.as_ref(), tidegate_host::listen_tcp(address).map(drop));
        report.line(verdict, name, text);
    }
    if arguments.no_import {
        report.line(Verdict::Good, "apps", "not imported (--no-import)");
    } else {
        import(&site, &mut report).await?;
    }
    report.end(running.is_some())
}

impl Report {
    fn line(&mut self, verdict: Verdict, name: &str, text: impl Display) {
        match verdict {
            Verdict::Good => {}
            Verdict::Warning => self.warnings += 1,
            Verdict::Problem => self.problems += 1,
        }
        println!("{} {name:<12} {text}", Marked(verdict, self.style));
    }

    fn end(self, runs: bool) -> Result<(), Failure> {
        let warnings = match self.warnings {
            0 => String::new(),
            1 => ", 1 warning".to_owned(),
            many => format!(", {many} warnings"),
        };
        match self.problems {
            0 => {
                let next =
                    if runs { "it runs: `tidegate reload` loads changes" } else { "start it with `tidegate up`" };
                println!("\n{}{warnings}; {next}", self.style.good("good"));
                Ok(())
            }
            1 => Err(Failure::new(format!("1 problem{warnings}")).next("correct it and check again")),
            many => Err(Failure::new(format!("{many} problems{warnings}")).next("correct them and check again")),
        }
    }
}

/// A verdict as a word of constant width.
struct Marked(Verdict, Style);

impl Display for Marked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(verdict, style) = self;
        match verdict {
            Verdict::Good => style.good("ok     ").fmt(f),
            Verdict::Warning => style.warning("warning").fmt(f),
            Verdict::Problem => style.bad("problem").fmt(f),
        }
    }
}

fn certificates(site: &Site, now: OffsetDateTime, report: &mut Report) {
    if !site.uses_tls() {
        return;
    }
    if site.certificates.is_empty() {
        let directory = site.state_dir.display();
        report.line(Verdict::Good, "certificate", format_args!("self-signed for development, kept in {directory}"));
    }
    for files in &site.certificates {
        match tidegate_certs::load(files) {
            Ok(certificate) => {
                let (verdict, text) = validity(&certificate, now);
                report.line(verdict, "certificate", text);
            }
            Err(error) => report.line(Verdict::Problem, "certificate", with_sources(&error)),
        }
    }
}

/// An error and what it was caused by, which its own text leaves out.
fn with_sources(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(error.source(), |source| source.source());
    sources.fold(error.to_string(), |text, source| format!("{text}: {source}"))
}

fn validity(certificate: &Certificate, now: OffsetDateTime) -> (Verdict, String) {
    let names = certificate.names.join(", ");
    let days = (certificate.not_after - now.unix_timestamp()).div_euclid(24 * 3600);
    let end = certificate.not_after_text();
    let (verdict, remark) = expiry(days);
    (verdict, format!("{} for {names}, until {end}{remark}", certificate.source))
}

/// What so many days to the end of a certificate mean.
fn expiry(days: i64) -> (Verdict, String) {
    match days {
        ..0 => (Verdict::Problem, ": expired; renew it".to_owned()),
        0..EXPIRY_WARNING_DAYS => (Verdict::Warning, format!(": {days} days left; renew it")),
        _ => (Verdict::Good, format!(" ({days} days left)")),
    }
}

/// What the site's own processes have to say, if they run.
async fn running(site: &Site) -> Option<StatusReport> {
    Control::connect(&site.control_endpoint(), CONNECT).await.ok()?.status().await.ok()
}

fn addresses(site: &Site) -> Vec<(&'static str, SocketAddr)> {
    let listeners = site.listeners.iter().map(|listener| ("listener", listener.address));
    listeners.chain(site.metrics.map(|address| ("metrics", address))).collect()
}

fn port(address: SocketAddr, running: Option<&StatusReport>, bound: io::Result<()>) -> (Verdict, String) {
    let Err(error) = bound else {
        return (Verdict::Good, format!("{address} is free"));
    };
    let proxy = running.and_then(|report| report.proxy.as_ref());
    let own = proxy.is_some_and(|proxy| {
        let mut listeners = proxy.listeners.iter().map(|listener| &listener.address);
        listeners.any(|own| is_same(own, address)) || proxy.metrics.iter().any(|own| is_same(own, address))
    });
    if own {
        return (Verdict::Good, format!("{address} is served by this site, which is running"));
    }
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse => "; another program has it",
        io::ErrorKind::PermissionDenied => "; ports below 1024 may need more rights",
        io::ErrorKind::AddrNotAvailable => "; this machine has no such address",
        _ => "",
    };
    (Verdict::Problem, format!("{error}{hint}"))
}

/// A host without IPv6 has 0.0.0.0 where the file says `[::]`.
fn is_same(reported: &str, configured: SocketAddr) -> bool {
    reported.parse::<SocketAddr>().is_ok_and(|reported| {
        reported == configured
            || reported.port() == configured.port()
                && reported.ip().is_unspecified()
                && configured.ip().is_unspecified()
    })
}

/// The app server's program prints what it finds.
async fn import(site: &Site, report: &mut Report) -> Result<(), Failure> {
    let mut spawn = Spawn::new(program("tidegate-appserver")?);
    spawn.arguments = vec!["--config".into(), site.file.clone().into(), "--check-imports".into()];
    let mut child = spawn.start().map_err(|error| Failure::new(error.to_string()))?;
    let patience = site.apps.iter().map(|app| app.start_timeout).max().unwrap_or_default() + MARGIN;
    let count = match site.apps.len() {
        1 => "imported as a worker would".to_owned(),
        many => format!("{many} imported as workers would"),
    };
    match tokio::time::timeout(patience, child.wait()).await {
        Ok(Ok(exit)) if exit.success() => report.line(Verdict::Good, "apps", count),
        Ok(Ok(exit)) if exit.code == Some(1) => report.line(Verdict::Problem, "apps", "cannot be imported, see above"),
        Ok(Ok(exit)) => report.line(Verdict::Problem, "apps", format_args!("the import ended with {exit}, see above")),
        Ok(Err(error)) => report.line(Verdict::Problem, "apps", error),
        Err(_) => {
            let text = format!("not imported within {} s (start_timeout)", patience.as_secs());
            report.line(Verdict::Problem, "apps", text);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_contract::{ListenerReport, MaintenanceState, PoolState, ProxyReport};

    fn running(address: &str) -> StatusReport {
        let listener = ListenerReport { address: address.to_owned(), url: String::new(), tls: true, redirects: false };
        StatusReport {
            pid: 1,
            version: String::new(),
            site: String::new(),
            pool: PoolState::default(),
            maintenance: MaintenanceState::default(),
            proxy: Some(ProxyReport { listeners: vec![listener], ..ProxyReport::default() }),
        }
    }

    #[test]
    fn a_taken_port_is_a_problem_unless_the_site_itself_has_it() {
        let taken = || Err(io::Error::from(io::ErrorKind::AddrInUse));
        let address: SocketAddr = "[::]:8443".parse().unwrap();
        for (running, bound, verdict) in [
            (None, Ok(()), Verdict::Good),
            (None, taken(), Verdict::Problem),
            (Some(running("[::]:8443")), taken(), Verdict::Good),
            (Some(running("0.0.0.0:8443")), taken(), Verdict::Good),
            (Some(running("[::]:8444")), taken(), Verdict::Problem),
        ] {
            assert_eq!(port(address, running.as_ref(), bound).0, verdict);
        }
    }

    #[test]
    fn the_end_of_a_certificate_is_warned_of_in_time() {
        for (days, verdict) in
            [(-1, Verdict::Problem), (0, Verdict::Warning), (20, Verdict::Warning), (21, Verdict::Good)]
        {
            assert_eq!(expiry(days).0, verdict, "{days}");
        }
    }

    #[test]
    fn verdicts_have_one_width() {
        let width = |verdict| Marked(verdict, Style::plain()).to_string().len();
        assert_eq!(width(Verdict::Good), width(Verdict::Warning));
        assert_eq!(width(Verdict::Good), width(Verdict::Problem));
    }
}
