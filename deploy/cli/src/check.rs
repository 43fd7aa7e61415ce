//! `tidegate check`: everything that can be known about a site before it starts. It changes nothing;
//! the apps are imported by the app server's program, in a worker started for nothing else.

mod certificates;

use std::io;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use tidegate_contract::StatusReport;
use tidegate_host::Spawn;
use tidegate_site::Site;
use time::OffsetDateTime;

use crate::args;
use crate::control::Control;
use crate::failure::Failure;
use crate::finding::{Finding, Form, Report, Verdict};
use crate::style::Style;
use crate::up::program;

/// To find out whether the site runs.
const CONNECT: Duration = Duration::from_millis(500);

/// What the import of all apps may take beyond the slowest `start_timeout`.
const MARGIN: Duration = Duration::from_secs(30);

/// Runs the command.
pub(crate) async fn run(config: &Path, arguments: &args::Check, style: Style) -> Result<(), Failure> {
    let site = tidegate_site::load(config).map_err(|error| Failure::configuration(config, &error))?;
    let mut report = Report::new(Form::Lines, style);
    let running = look(&site, &mut report).await;
    if arguments.no_import {
        report.unknown("apps", "not imported (--no-import)");
    } else {
        match crate::code::import_refused(&site) {
            Some((text, next)) => report.warning("apps", format!("{text}: {next}; --no-import leaves it out"), &next),
            None => import(&site, &mut report).await?,
        }
    }
    end(&report, running.is_some(), style)
}

/// Everything but the import of the apps. Returns what the site's own processes have to say, if they run.
pub(crate) async fn look(site: &Site, report: &mut Report) -> Option<StatusReport> {
    report.good("site file", site.file.display());
    certificates::check(site, OffsetDateTime::now_utc().unix_timestamp(), report);
    if site.limits.buffer.disk > 0 {
        let (verdict, text) = buffers(&site.limits.buffer.directory);
        report.line(verdict, "buffers", text);
    }
    let running = running(site).await;
    for (name, address) in addresses(site) {
        report.add(port(name, address, running.as_ref(), tidegate_host::listen_tcp(address).map(drop)));
    }
    running
}

fn end(report: &Report, runs: bool, style: Style) -> Result<(), Failure> {
    let summary = report.summary();
    if report.count(Verdict::Problem) > 0 {
        let them = if report.count(Verdict::Problem) == 1 { "it" } else { "them" };
        return Err(Failure::new(summary.unwrap_or_default())
            .next(format!("correct {them} and check again; `tidegate doctor` says how")));
    }
    let next = if runs { "it runs: `tidegate reload` loads changes" } else { "start it with `tidegate up`" };
    let others = summary.map(|others| format!(", {others}")).unwrap_or_default();
    println!("\n{}{others}; {next}", style.good("good"));
    Ok(())
}

/// Whether files can be made where bodies are kept, or where that directory would be made.
fn buffers(directory: &Path) -> (Verdict, String) {
    let (shown, to_be_made) = (directory.display(), if directory.exists() { "" } else { " (to be made)" });
    let existing = directory.ancestors().find(|path| path.exists()).unwrap_or(directory);
    let probe = existing.join(format!(".tidegate-check-{}", std::process::id()));
    let made = std::fs::File::create_new(&probe).and_then(|file| {
        // Windows removes no file that is open.
        drop(file);
        std::fs::remove_file(&probe)
    });
    match made {
        Ok(()) => (Verdict::Good, format!("kept in {shown}{to_be_made}")),
        Err(error) => {
            let text = format!("limits.buffer_dir {shown} cannot be written to: {}: {error}", existing.display());
            (Verdict::Problem, text)
        }
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

fn port(topic: &str, address: SocketAddr, running: Option<&StatusReport>, bound: io::Result<()>) -> Finding {
    let finding =
        |verdict, text: String, next: Option<String>| Finding { verdict, topic: topic.to_owned(), text, next };
    let Err(error) = bound else {
        return finding(Verdict::Good, format!("{address} is free"), None);
    };
    let proxy = running.and_then(|report| report.proxy.as_ref());
    let own = proxy.is_some_and(|proxy| {
        let mut listeners = proxy.listeners.iter().map(|listener| &listener.address);
        listeners.any(|own| is_same(own, address)) || proxy.metrics.iter().any(|own| is_same(own, address))
    });
    if own {
        return finding(Verdict::Good, format!("{address} is served by this site, which is running"), None);
    }
    let said = error.to_string();
    let excluded = tidegate_host::machine::excluded_ports();
    let (hint, next) = explain_port(error.kind(), &said, address, &excluded);
    finding(Verdict::Problem, format!("{said}{hint}"), Some(next))
}

/// What is added to an error of a listener, and what to do about it.
fn explain_port(
    kind: io::ErrorKind,
    said: &str,
    address: SocketAddr,
    excluded: &[RangeInclusive<u16>],
) -> (&'static str, String) {
    let port = address.port();
    match kind {
        // The kernel's own HTTP server, which IIS and other services of Windows listen through.
        _ if said.contains("taken by System (process 4)") => (
            "; that is HTTP.sys, through which IIS and other services of Windows listen",
            format!(
                "`netsh http show servicestate` names who asked for port {port}; stop that (IIS: `Stop-Service W3SVC`), \
                 or give the listener another port"
            ),
        ),
        // Where the system tells who has it, the error says so.
        _ if said.contains("taken by") => {
            ("", "stop that program (or its service), or give the listener another port".to_owned())
        }
        io::ErrorKind::AddrInUse => (
            "; another program has it",
            format!("find it as administrator (root): `netstat -abno` or `ss -ltnp sport = :{port}`"),
        ),
        io::ErrorKind::PermissionDenied if excluded.iter().any(|range| range.contains(&port)) => (
            "; the port lies in a range that Windows keeps for itself (Hyper-V, WinNAT)",
            "give the listener a port outside of what `netsh int ipv4 show excludedportrange tcp` lists, or reserve it \
             before they do (docs/windows.md)"
                .to_owned(),
        ),
        io::ErrorKind::PermissionDenied if port < 1024 => (
            "; ports below 1024 may need more rights",
            "run this as root; `tidegate service install` gives the proxy the right to listen there".to_owned(),
        ),
        io::ErrorKind::AddrNotAvailable => (
            "; this machine has no such address",
            "write one of this machine's addresses, or `[::]` for all of them".to_owned(),
        ),
        _ => ("", "give the listener another address".to_owned()),
    }
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
            let found = port("listener", address, running.as_ref(), bound);
            assert_eq!((found.verdict, found.next.is_some()), (verdict, verdict != Verdict::Good));
        }
    }

    #[test]
    fn bodies_need_a_directory_that_can_be_written_to() {
        let here = std::env::temp_dir().join(format!("tidegate-check-{}", std::process::id()));
        std::fs::create_dir_all(&here).unwrap();
        let file = here.join("file");
        std::fs::write(&file, b"").unwrap();
        for (directory, verdict, said) in [
            (here.clone(), Verdict::Good, "kept in"),
            (here.join("new/buffers"), Verdict::Good, "(to be made)"),
            (file.join("buffers"), Verdict::Problem, "cannot be written to"),
        ] {
            let (found, text) = buffers(&directory);
            assert_eq!(found, verdict, "{text}");
            assert!(text.contains(said), "{text}");
        }
        assert_eq!(std::fs::read_dir(&here).unwrap().count(), 1, "nothing is left behind");
        std::fs::remove_dir_all(&here).unwrap();
    }

    #[test]
    fn a_taken_port_comes_with_what_to_do_about_it() {
        let address: SocketAddr = "[::]:443".parse().unwrap();
        for (kind, said, next) in [
            (io::ErrorKind::PermissionDenied, "no, taken by System (process 4)", "Stop-Service W3SVC"),
            (io::ErrorKind::AddrInUse, "no, taken by nginx (process 7)", "stop that program"),
            (io::ErrorKind::AddrInUse, "no", "netstat"),
            (io::ErrorKind::PermissionDenied, "no", "excludedportrange"),
            (io::ErrorKind::AddrNotAvailable, "no", "[::]"),
        ] {
            let (_, found) = explain_port(kind, said, address, &[440..=450]);
            assert!(found.contains(next), "{said}: {found}");
        }
        let (_, found) = explain_port(io::ErrorKind::PermissionDenied, "no", address, &[]);
        assert!(found.contains("service install"), "{found}");
    }
}
