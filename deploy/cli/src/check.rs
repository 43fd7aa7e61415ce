//! `tidegate check`: everything that can be known about a site before it starts. It changes nothing;
//! the apps are imported by the app server's program, in a worker started for nothing else.

mod certificates;

use std::fmt::{self, Display};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tidegate_contract::StatusReport;
use tidegate_host::Spawn;
use tidegate_site::Site;
use time::OffsetDateTime;

use crate::args;
use crate::control::Control;
use crate::failure::Failure;
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
    certificates::check(&site, OffsetDateTime::now_utc().unix_timestamp(), &mut report);
    if site.limits.buffer.disk > 0 {
        let (verdict, text) = buffers(&site.limits.buffer.directory);
        report.line(verdict, "buffers", text);
    }
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
        // Where the system tells who has it, the error says so.
        io::ErrorKind::AddrInUse if !error.to_string().contains("taken by") => "; another program has it",
        io::ErrorKind::PermissionDenied if address.port() < 1024 => "; ports below 1024 may need more rights",
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
    fn verdicts_have_one_width() {
        let width = |verdict| Marked(verdict, Style::plain()).to_string().len();
        assert_eq!(width(Verdict::Good), width(Verdict::Warning));
        assert_eq!(width(Verdict::Good), width(Verdict::Problem));
    }
}
