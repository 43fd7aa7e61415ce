//! Requests a second through TLS for a small WSGI response, beside the servers that Tidegate stands in for.

use anyhow::Result;

use super::load::{self, Rate};
use super::nginx::{self, Behind};
use super::pair::{self, Pair};
use super::report::{Report, median, row, thousands};
use super::{Bench, usage};
use crate::machine;

const ROUNDS: usize = 5;
const SECONDS: u32 = 8;
const CONNECTIONS: u32 = 100;
pub(crate) const APP: &str = include_str!("apps/hello.py");

/// One of the three, with what it has shown so far.
struct Contender {
    name: &'static str,
    url: String,
    /// Names of processes and their ids.
    processes: Vec<(&'static str, u32)>,
    rounds: Vec<Rate>,
    /// Seconds of each process, over all rounds.
    used: Vec<f64>,
}

/// Interleaves rounds of all three.
pub(crate) fn run(bench: &Bench) -> Result<Report> {
    machine::require(&load::TOOLS)?;
    machine::require(&nginx::TOOLS)?;
    let rest = format!(
        "apps:\n  hello: {{ wsgi: \"hello:application\", python: '{}' }}\nlog: {{ access: off }}\n",
        pair::python(bench)?
    );
    let pair = Pair::start(bench, "site", &rest, &[("hello.py", APP)])?;
    let app = "hello:application";
    let (granian, granian_port) = nginx::granian(bench, pair.directory(), app)?;
    let (waitress, waitress_port) = nginx::waitress(bench, pair.directory(), app)?;
    let certificate = pair.certificate();
    let (nginx_granian, https_granian, _) =
        nginx::start(bench, "nginx-granian", &certificate, &Behind::Upstream(granian_port))?;
    let (nginx_waitress, https_waitress, _) =
        nginx::start(bench, "nginx-waitress", &certificate, &Behind::Upstream(waitress_port))?;

    let behind_nginx = |nginx: u32, name: &'static str, server: u32| {
        let mut all: Vec<(&'static str, u32)> = usage::tree(nginx).into_iter().map(|pid| ("nginx", pid)).collect();
        all.extend(usage::tree(server).into_iter().map(|pid| (name, pid)));
        all
    };
    let contender = |name, port: u16, processes: Vec<(&'static str, u32)>| Contender {
        name,
        url: format!("https://127.0.0.1:{port}/"),
        used: vec![0.0; processes.len()],
        processes,
        rounds: Vec::new(),
    };
    let mut contenders = [
        contender("tidegate", pair.https, pair.processes()),
        contender("nginx + granian", https_granian, behind_nginx(nginx_granian.id(), "granian", granian.id())),
        contender("nginx + waitress", https_waitress, behind_nginx(nginx_waitress.id(), "waitress", waitress.id())),
    ];
    for contender in &contenders {
        load::wrk(&contender.url, CONNECTIONS, 2)?;
    }
    for number in 1..=ROUNDS {
        for contender in &mut contenders {
            contender.round(bench.seconds(SECONDS))?;
            let rate = contender.rounds.last().map_or(0.0, |round| round.rate);
            println!("round {number}: {:<17} {:>9} req/s", contender.name, thousands(rate));
        }
    }
    let report = report(&contenders);
    pair.stop()?;
    for server in [nginx_granian, nginx_waitress, granian, waitress] {
        server.stop()?;
    }
    Ok(report)
}

impl Contender {
    fn round(&mut self, seconds: u32) -> Result<()> {
        let used = |(_, pid): &(&str, u32)| usage::cpu_seconds(*pid);
        let before: Vec<f64> = self.processes.iter().map(used).collect();
        self.rounds.push(load::wrk(&self.url, CONNECTIONS, seconds)?);
        for ((total, before), process) in self.used.iter_mut().zip(before).zip(&self.processes) {
            *total += used(process) - before;
        }
        Ok(())
    }

    fn rate(&self) -> f64 {
        median(&self.rounds.iter().map(|round| round.rate).collect::<Vec<_>>())
    }

    /// Microseconds of processor a request, by the name of the process.
    fn costs(&self) -> String {
        let requests: f64 = self.rounds.iter().map(|round| round.requests).sum();
        let mut costs: Vec<(&str, f64)> = Vec::new();
        for ((name, _), used) in self.processes.iter().zip(&self.used) {
            match costs.iter_mut().find(|(known, _)| known == name) {
                Some((_, sum)) => *sum += used,
                None => costs.push((name, *used)),
            }
        }
        let cost = |(name, used): &(&str, f64)| format!("{name} {:.1}", used * 1e6 / requests);
        costs.iter().filter(|(_, used)| *used > 0.01).map(cost).collect::<Vec<_>>().join(", ")
    }
}

fn report(contenders: &[Contender; 3]) -> Report {
    let [tidegate, granian, waitress] = contenders;
    let mut table = vec![row(&["server", "req/s, median", "rounds", "tidegate is", "µs of CPU a request"])];
    for contender in contenders {
        let rounds: Vec<String> = contender.rounds.iter().map(|round| thousands(round.rate)).collect();
        table.push(vec![
            contender.name.to_owned(),
            thousands(contender.rate()),
            rounds.join(" "),
            format!("{:.2} x", tidegate.rate() / contender.rate()),
            contender.costs(),
        ]);
    }
    Report {
        setup: vec![
            format!("`wrk -t2 -c{CONNECTIONS} -d{SECONDS}s`, TLS 1.3, HTTP/1.1 with keep-alive, {ROUNDS} interleaved rounds; wrk shares the cores"),
            "the app answers 13 bytes with Content-Length; one worker process each; no access log anywhere; the same certificate".to_owned(),
            "tidegate: every other setting default".to_owned(),
            "nginx: 2 worker processes, 64 kept upstream connections; granian: 1 worker, 4 blocking threads; waitress: its defaults".to_owned(),
        ],
        table,
        notes: vec![
            format!("of nginx + granian: {:.2} (target: at least 0.80)", tidegate.rate() / granian.rate()),
            format!("of nginx + waitress: {:.1} x (target: at least 6 x)", tidegate.rate() / waitress.rate()),
        ],
    }
}
