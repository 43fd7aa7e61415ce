//! `tidegate up`: runs app server and proxy as children in the foreground, reports when they serve,
//! and stops them in order. It watches; it never restarts one of them, since that is the service
//! manager's task where there is one.

pub(crate) mod report;
mod watch;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tidegate_contract::{AppPhase, StatusReport};
use tidegate_host::{Child, Exit, Signal, Signals, Spawn, Stdin, beside_executable, program_name};
use tidegate_site::Site;
use time::OffsetDateTime;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::args;
use crate::control::{Control, ControlError};
use crate::failure::{BAD_CONFIGURATION, Failure};
use crate::reload;
use crate::style::Style;

/// What a program may take beyond its drain timeout to end.
const MARGIN: Duration = Duration::from_secs(5);

/// Between two looks at a site that starts.
const LOOK: Duration = Duration::from_millis(100);

/// To connect to an app server that was just started, or to find that none runs. Asked again when it fails.
const CONNECT: Duration = Duration::from_millis(500);

/// To connect to the app server that runs, to pass on what nobody asks a second time.
const CONNECT_FOR_RELOAD: Duration = Duration::from_secs(10);

/// Runs the command.
pub(crate) async fn run(config: &Path, arguments: &args::Up, style: Style) -> Result<(), Failure> {
    let site = tidegate_site::load(config).map_err(|error| Failure::configuration(config, &error))?;
    let (server, proxy) = (program("tidegate-appserver")?, program("tidegate-proxy")?);
    if let Ok(mut control) = Control::connect(&site.control_endpoint(), CONNECT).await {
        let pid = control.status().await.map(|report| format!(" (app server {})", report.pid)).unwrap_or_default();
        return Err(Failure::new(format!("this site runs already{pid}"))
            .next("`tidegate reload` loads changes; stop the other one to start anew"));
    }
    // Before the first child, so that a Ctrl-C from here on stops what was started.
    let signals = Signals::install().map_err(|error| Failure::new(format!("failed to handle Ctrl-C: {error}")))?;
    // Before the apps are imported, so that no change falls between.
    let changes = arguments.watch.then(|| watch::start(&site)).transpose();
    let changes = changes.map_err(|error| Failure::new(format!("failed to watch the apps' files: {error}")))?;
    let development: &[&str] = if arguments.watch { &["--development"] } else { &[] };
    let mut pair = Pair {
        server: start("app server", &server, &site, development, site.apps_drain())?,
        proxy: start("proxy", &proxy, &site, &[], site.limits.drain_timeout)?,
        signals,
        reload: None,
        again: false,
        changes,
        quiet: arguments.quiet,
    };
    let outcome = tokio::select! {
        // Every branch is cancel-safe, or its loss is without consequence (a status request).
        ended = pair.watch(&site) => ended,
        never = announce(&site, arguments.quiet, style) => match never {},
    };
    pair.stop(arguments.quiet).await;
    outcome
}

/// One of the two programs.
struct Running {
    name: &'static str,
    child: Child,
    patience: Duration,
}

/// Both, and what the operator asks of them.
struct Pair {
    server: Running,
    proxy: Running,
    signals: Signals,
    reload: Option<JoinHandle<()>>,
    /// Something changed while a reload ran.
    again: bool,
    /// With `--watch`.
    changes: Option<mpsc::Receiver<String>>,
    quiet: bool,
}

impl Pair {
    /// Returns when the pair is to be stopped: on request, or because one of it has ended.
    async fn watch(&mut self, site: &Site) -> Result<(), Failure> {
        loop {
            // All are cancel-safe.
            tokio::select! {
                exit = self.server.child.wait() => return Err(died(self.server.name, exit)),
                exit = self.proxy.child.wait() => return Err(died(self.proxy.name, exit)),
                signal = self.signals.next() => match signal {
                    Signal::Stop => return Ok(()),
                    Signal::Reload => self.reload(site),
                },
                changed = next(&mut self.changes) => {
                    if !self.quiet {
                        println!("{changed} changed: reloading");
                    }
                    self.reload(site);
                }
                () = finished(&mut self.reload) => {
                    if std::mem::take(&mut self.again) {
                        self.reload(site);
                    }
                }
            }
        }
    }

    /// Passes a request to reload on; while one is under way, once that has ended.
    fn reload(&mut self, site: &Site) {
        if self.reload.is_some() {
            self.again = true;
            return;
        }
        let (endpoint, silence) = (site.control_endpoint(), reload::silence(site));
        let (is_watching, quiet) = (self.changes.is_some(), self.quiet);
        self.reload = Some(tokio::spawn(async move {
            let asked = async { Control::connect(&endpoint, CONNECT_FOR_RELOAD).await?.reload(silence, |_| {}).await };
            match asked.await {
                Ok(None) if is_watching && !quiet => println!("reloaded"),
                // Whoever has just saved a file looks here, and for a traceback that can be read.
                Ok(Some(reason)) if is_watching => eprintln!("the code before the change serves on: {reason}"),
                // The programs' logs tell of success and of refusal.
                Ok(_) => {}
                Err(error) => eprintln!("reload: {error}"),
            }
        }));
    }

    /// First the proxy, which finishes what clients have asked for, then the app server.
    async fn stop(mut self, quiet: bool) {
        if let Some(reload) = self.reload.take() {
            reload.abort();
        }
        if !quiet {
            println!("stopping: requests are finished first");
        }
        let mut killed = false;
        for running in [&mut self.proxy, &mut self.server] {
            killed |= running.stop(&mut self.signals, killed).await;
        }
        if !quiet {
            println!("{}", if killed { "stopped by force" } else { "stopped" });
        }
    }
}

/// The next change of the apps' files; never without `--watch`. Cancel-safe.
async fn next(changes: &mut Option<mpsc::Receiver<String>>) -> String {
    let change = match changes {
        Some(changes) => changes.recv().await,
        None => None,
    };
    match change {
        Some(change) => change,
        None => std::future::pending().await,
    }
}

/// The end of the reload that runs, if one does. Cancel-safe.
async fn finished(reload: &mut Option<JoinHandle<()>>) {
    match reload {
        // A panic in it is reported where it happens.
        Some(running) => drop(running.await),
        None => std::future::pending().await,
    }
    *reload = None;
}

impl Running {
    /// Lets it drain; kills it after its time, or at once on a second request to stop. Returns
    /// whether it had to be killed.
    async fn stop(&mut self, signals: &mut Signals, at_once: bool) -> bool {
        self.child.close_stdin();
        if !at_once {
            // All three are cancel-safe.
            tokio::select! {
                biased;
                _ = self.child.wait() => return false,
                () = stop_requested(signals) => eprintln!("killing the {}", self.name),
                () = sleep(self.patience) => eprintln!(
                    "killing the {}, which has not ended within {} s", self.name, self.patience.as_secs()
                ),
            }
        }
        if let Err(error) = self.child.kill() {
            eprintln!("failed to kill the {}: {error}", self.name);
        }
        true
    }
}

/// The next request to stop; cancel-safe.
async fn stop_requested(signals: &mut Signals) {
    while signals.next().await != Signal::Stop {}
}

/// A program beside this one.
pub(crate) fn program(stem: &str) -> Result<PathBuf, Failure> {
    let name = program_name(stem);
    beside_executable(&[name.as_str()]).ok_or_else(|| {
        Failure::new(format!("{name} is not in the directory of this program"))
            .next("keep all files of a Tidegate release together in one directory")
    })
}

fn start(
    name: &'static str,
    program: &Path,
    site: &Site,
    options: &[&str],
    drain: Duration,
) -> Result<Running, Failure> {
    let mut spawn = Spawn::new(program);
    spawn.arguments = vec!["--config".into(), site.file.clone().into(), "--stop-on-stdin-eof".into()];
    spawn.arguments.extend(options.iter().map(Into::into));
    spawn.stdin = Stdin::Pipe;
    let child = spawn.start().map_err(|error| {
        Failure::new(error.to_string()).next(format!("see that {} can be executed", program.display()))
    })?;
    Ok(Running { name, child, patience: drain + MARGIN })
}

fn died(name: &str, exit: std::io::Result<Exit>) -> Failure {
    match exit {
        Ok(exit) => {
            let failure = Failure::new(format!("the {name} ended by itself with {exit}"))
                .next("its last log lines above say why; `tidegate check` looks for the usual reasons");
            if exit.code == Some(i32::from(BAD_CONFIGURATION)) { failure.exit_with(BAD_CONFIGURATION) } else { failure }
        }
        Err(error) => Failure::new(format!("lost sight of the {name}: {error}")),
    }
}

/// Reports once when the site serves, then stays silent for ever.
async fn announce(site: &Site, quiet: bool, style: Style) -> std::convert::Infallible {
    let report = loop {
        match look(site).await {
            Ok(report) if is_settled(&report) => break report,
            // Not yet; if it never comes up, the watch over the processes says why.
            Ok(_) | Err(_) => sleep(LOOK).await,
        }
    };
    if !quiet {
        print!("{}", report::show(&report, OffsetDateTime::now_utc(), style));
        println!("Ctrl-C stops it: requests are finished first. A second Ctrl-C does not wait.\n");
        // A pipe is buffered, and whoever reads it waits for this.
        let _ = std::io::stdout().flush();
    }
    std::future::pending().await
}

pub(crate) async fn look(site: &Site) -> Result<StatusReport, ControlError> {
    Control::connect(&site.control_endpoint(), CONNECT).await?.status().await
}

/// Whether the listeners are bound and no app is still on its way.
pub(crate) fn is_settled(report: &StatusReport) -> bool {
    report.proxy.is_some() && report.pool.apps.iter().all(|app| matches!(app.phase, AppPhase::Ready | AppPhase::Failed))
}
