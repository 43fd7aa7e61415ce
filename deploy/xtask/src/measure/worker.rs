//! The worker alone on its Unix socket, beside granian on one of its own: requests for each second of processor time.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::child::{Server, Stop};
use super::load::{self, Rate};
use super::pair::{self, Pair};
use super::report::{Report, median, row, thousands};
use super::throughput::APP as HELLO;
use super::{Bench, usage};
use crate::{machine, process};

const FLASK: &str = include_str!("apps/flask_hello.py");
const ROUNDS: usize = 5;
const SECONDS: u32 = 6;
pub(crate) const CONNECTIONS: u32 = 100;

/// An app that is measured.
pub(crate) struct App {
    pub(crate) name: &'static str,
    module: &'static str,
    code: &'static str,
}

/// The least that an app can be, and what a framework of the usual size makes of it.
pub(crate) const APPS: [App; 2] =
    [App { name: "hello", module: "hello", code: HELLO }, App { name: "flask", module: "flask_hello", code: FLASK }];

/// A worker that is reached directly.
pub(crate) struct Alone {
    pub(crate) pair: Pair,
    /// Its process.
    pub(crate) worker: u32,
    pub(crate) socket: PathBuf,
}

/// One server, with what it has shown so far.
struct Contender {
    name: &'static str,
    socket: PathBuf,
    processes: Vec<u32>,
    rounds: Vec<Round>,
}

struct Round {
    rate: Rate,
    used: f64,
}

/// Both apps, each on both servers in turn.
pub(crate) fn run(bench: &Bench) -> Result<Report> {
    machine::require(&load::TOOLS)?;
    let mut table = vec![row(&[
        "app",
        "server",
        "req/s, median",
        "requests per second of CPU, median",
        "rounds",
        "µs of CPU a request",
    ])];
    let mut notes = Vec::new();
    for app in &APPS {
        let Alone { pair, worker, socket } = Alone::start(bench, app)?;
        let App { name: app, module, .. } = app;
        let (granian, granian_socket) = granian(bench, &pair, module)?;
        let mut contenders = [
            Contender { name: "tidegate-worker", socket, processes: vec![worker], rounds: Vec::new() },
            Contender {
                name: "granian",
                socket: granian_socket,
                processes: usage::tree(granian.id()),
                rounds: Vec::new(),
            },
        ];
        for contender in &contenders {
            load::over_socket(&contender.socket, CONNECTIONS, 2)?;
        }
        for number in 1..=ROUNDS {
            for contender in &mut contenders {
                let round = contender.round(bench.seconds(SECONDS))?;
                println!(
                    "{app}, round {number}: {:<15} {:>9} req/s, {:>9} per second of CPU",
                    contender.name,
                    thousands(round.rate.rate),
                    thousands(round.per_second())
                );
                contender.rounds.push(round);
            }
        }
        for contender in &contenders {
            table.push(contender.row(app));
        }
        let [ours, theirs] = &contenders;
        notes.push(format!(
            "{app}: {:.2} of granian, per second of CPU (target: at least 1.00)",
            ours.per_second() / theirs.per_second()
        ));
        granian.stop()?;
        pair.stop()?;
    }
    Ok(Report {
        setup: vec![
            format!("`h2load --h1 -t2 -c{CONNECTIONS} -D{}` on each server's Unix socket, {ROUNDS} rounds of each in turn; h2load shares the cores", bench.seconds(SECONDS)),
            "one process each; worker: every setting default; granian: 4 blocking threads, log level warning; both with the same interpreter".to_owned(),
        ],
        table,
        notes,
    })
}

impl Alone {
    /// Starts the pair and finds its worker; the proxy has nothing to do.
    pub(crate) fn start(bench: &Bench, app: &App) -> Result<Self> {
        let App { name, module, code } = app;
        let rest =
            format!("apps:\n  {name}: {{ wsgi: \"{module}:application\", python: '{}' }}\n", pair::python(bench)?);
        let pair = Pair::start(bench, name, &rest, &[(&format!("{module}.py"), code)])?;
        let mut workers = pair.processes().into_iter().filter(|(name, _)| *name == "worker");
        let (worker, socket) = workers
            .find_map(|(_, pid)| Some((pid, usage::listening_socket(pid)?)))
            .context("no worker listens on a Unix socket")?;
        Ok(Self { pair, worker, socket })
    }
}

fn granian(bench: &Bench, pair: &Pair, module: &str) -> Result<(Server, PathBuf)> {
    // The path of a Unix socket has to be short.
    let socket = std::env::temp_dir().join(format!("tidegate-measure-{}.sock", std::process::id()));
    let mut command = process::command(&bench.python);
    command
        .args(["-m", "granian", "--interface", "wsgi", "--workers", "1", "--blocking-threads", "4", "--uds"])
        .arg(&socket)
        .args(["--log-level", "warning", &format!("{module}:application")])
        .current_dir(pair.directory());
    let mut server = Server::start("granian", command, Stop::Signal, pair.directory())?;
    server.wait_until(|| load::over_socket(&socket, 1, 1).is_ok())?;
    Ok((server, socket))
}

impl Contender {
    fn round(&self, seconds: u32) -> Result<Round> {
        let used = || self.processes.iter().map(|pid| usage::cpu_seconds(*pid)).sum::<f64>();
        let before = used();
        let rate = load::over_socket(&self.socket, CONNECTIONS, seconds)?;
        Ok(Round { rate, used: used() - before })
    }

    fn per_second(&self) -> f64 {
        median(&self.rounds.iter().map(Round::per_second).collect::<Vec<_>>())
    }

    fn row(&self, app: &str) -> Vec<String> {
        let rates: Vec<f64> = self.rounds.iter().map(|round| round.rate.rate).collect();
        let rounds: Vec<String> = self.rounds.iter().map(|round| thousands(round.per_second())).collect();
        vec![
            app.to_owned(),
            self.name.to_owned(),
            thousands(median(&rates)),
            thousands(self.per_second()),
            rounds.join(" "),
            format!("{:.1}", 1e6 / self.per_second()),
        ]
    }
}

impl Round {
    fn per_second(&self) -> f64 {
        self.rate.requests / self.used
    }
}
