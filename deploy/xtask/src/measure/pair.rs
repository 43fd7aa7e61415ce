//! The pair of processes on a site of a measurement's own.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::Bench;
use super::child::{START, Server, Stop, answers, ask, free_port};
use super::usage;
use crate::windows::wine;
use crate::{process, workspace};

/// The pair, ready.
pub(crate) struct Pair {
    pub(crate) https: u16,
    pub(crate) http: u16,
    pub(crate) metrics: u16,
    directory: PathBuf,
    config: PathBuf,
    appserver: Server,
    proxy: Server,
}

impl Pair {
    /// Writes the site and starts the pair on it. `rest` is what follows listeners and metrics in the site file.
    pub(crate) fn start(bench: &Bench, name: &str, rest: &str, files: &[(&str, &str)]) -> Result<Self> {
        let directory = bench.directory.join(name);
        std::fs::create_dir_all(&directory)?;
        for (name, content) in files {
            std::fs::write(directory.join(name), content)?;
        }
        let (https, http, metrics) = (free_port()?, free_port()?, free_port()?);
        let config = directory.join("tidegate.yaml");
        std::fs::write(&config, site([https, http], metrics, rest, None))?;
        let start = |program: &str| -> Result<Server> {
            Server::start(program, command(bench, program, &config)?, Stop::Stdin, &directory)
        };
        let appserver = start("tidegate-appserver")?;
        let mut proxy = start("tidegate-proxy")?;
        proxy.wait_until(|| answers(metrics, "/readyz"))?;
        Ok(Self { https, http, metrics, directory, config, appserver, proxy })
    }

    /// Replaces the site file, with a further plain listener if one is named, and has it loaded.
    pub(crate) fn reload(&self, bench: &Bench, rest: &str, listener: Option<u16>) -> Result<()> {
        std::fs::write(&self.config, site([self.https, self.http], self.metrics, rest, listener))?;
        let mut command = process::command(workspace::program(&bench.programs, "tidegate"));
        process::run_quietly(command.arg("--config").arg(&self.config).arg("reload"))
    }

    /// The certificate that was made for it, and its key.
    pub(crate) fn certificate(&self) -> (PathBuf, PathBuf) {
        let state = self.directory.join(".tidegate");
        (state.join("development.pem"), state.join("development.key"))
    }

    /// Its processes with a name for each; workers are what the app server has started, but for the process that it
    /// starts them with.
    pub(crate) fn processes(&self) -> Vec<(&'static str, u32)> {
        let (proxy, appserver) = (self.proxy.id(), self.appserver.id());
        let mut all = vec![("proxy", proxy), ("app server", appserver)];
        let started = usage::tree(appserver).into_iter().skip(1);
        all.extend(started.filter(|pid| !usage::is_named(*pid, "tidegate")).map(|pid| ("worker", pid)));
        all
    }

    /// The sum of a metric's series whose labels hold this text.
    pub(crate) fn metric(&self, name: &str, labels: &str) -> Result<f64> {
        let (_, text) = ask(self.metrics, "/metrics")?;
        let series = text.lines().filter_map(|line| {
            let (series, value) = line.strip_prefix(name)?.rsplit_once(' ')?;
            let is_this = series.is_empty() || series.starts_with('{');
            (is_this && series.contains(labels)).then(|| value.parse::<f64>().ok()).flatten()
        });
        Ok(series.sum())
    }

    /// Waits, for as long as a start may take, until `ready` says so.
    pub(crate) fn wait_until(&self, ready: impl Fn(&Self) -> bool) -> Result<()> {
        let end = Instant::now() + START;
        while !ready(self) {
            if Instant::now() > end {
                bail!("not so after {} s: see {}", START.as_secs(), self.directory.display());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// The app server's log so far.
    pub(crate) fn appserver_log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(&self.appserver.log)?)
    }

    /// Where the programs' output is.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Stops both.
    pub(crate) fn stop(self) -> Result<()> {
        self.proxy.stop()?;
        self.appserver.stop()
    }
}

/// The site file.
fn site([https, http]: [u16; 2], metrics: u16, rest: &str, listener: Option<u16>) -> String {
    let listed = |(port, protocol)| format!("  - {{ address: \"127.0.0.1:{port}\", protocol: {protocol} }}\n");
    let further = listener.map(|port| (port, "http"));
    let listeners: String = [(https, "https"), (http, "http")].into_iter().chain(further).map(listed).collect();
    format!("listeners:\n{listeners}metrics: 127.0.0.1:{metrics}\n{rest}")
}

/// How the site file names the interpreter.
pub(crate) fn python(bench: &Bench) -> Result<String> {
    Ok(match &bench.windows {
        Some((_, prepared)) => wine::windows_path(&prepared.python)?,
        None => bench.python.display().to_string(),
    })
}

fn command(bench: &Bench, program: &str, config: &Path) -> Result<Command> {
    let arguments = |config: OsString| [OsString::from("--config"), config, "--stop-on-stdin-eof".into()];
    if let (Some((programs, _)), Some(wine)) = (&bench.windows, bench.wine()) {
        let program = programs.join(format!("{program}.exe"));
        let config = wine::windows_path(config)?;
        return wine::command(wine, OsStr::new(&wine::windows_path(&program)?), &arguments(config.into()));
    }
    let mut command = process::command(workspace::program(&bench.programs, program));
    command.args(arguments(config.into()));
    Ok(command)
}
