//! A thousand users at once, each waiting 30 s at the most, on an app that takes a tenth of a second.

use anyhow::Result;

use super::Bench;
use super::load::Users;
use super::pair::{self, Pair};
use super::report::{Report, row, thousands};
use super::throughput::APP;
use super::usage;

const USERS: u32 = 1000;
const HOLD: u32 = 60;

/// Every setting default.
pub(crate) fn run(bench: &Bench) -> Result<Report> {
    let mut report = flood(bench, "")?;
    report.notes.push("target: no error".to_owned());
    Ok(report)
}

/// With as many threads as are sensible for an app that only waits.
pub(crate) fn run_threads(bench: &Bench) -> Result<Report> {
    let mut report = flood(bench, ", threads: { min: 4, max: 512 }")?;
    report.notes.push("512 threads that take 100 ms each can answer 5,120 req/s; target: 5,000, no error".to_owned());
    Ok(report)
}

fn flood(bench: &Bench, setting: &str) -> Result<Report> {
    let rest = format!("apps:\n  hello: {{ wsgi: \"hello:sleeping\", python: '{}'{setting} }}\n", pair::python(bench)?);
    let pair = Pair::start(bench, "site", &rest, &[("hello.py", APP)])?;
    let mut table = vec![row(&["", "requests", "req/s", "errors", "p50 ms", "p99 ms", "max ms"])];
    let processes = pair.processes();
    let url = format!("https://127.0.0.1:{}/", pair.https);
    let users =
        Users::run(&mut Users::command(&bench.programs, &url, USERS, bench.seconds(HOLD), &["--timeout", "30"]))?;
    println!("{users}");
    let figure = |key| users.figure(key);
    let failed = figure("failed")?;
    table.push(vec![
        "1,000 users at once".to_owned(),
        thousands(figure("requests")?),
        thousands(figure("requests_per_second")?),
        format!("{failed:.0} {}", users.errors()),
        thousands(figure("p50_ms")?),
        thousands(figure("p99_ms")?),
        thousands(figure("max_ms")?),
    ]);
    let mut notes = Vec::new();
    if bench.windows.is_none() {
        let memory = |(name, pid): &(&str, u32)| Some(format!("{name} {:.0} MiB", usage::peak_memory(*pid)?));
        notes.push(format!("most memory: {}", processes.iter().filter_map(memory).collect::<Vec<_>>().join(", ")));
        let used = |(name, pid): &(&str, u32)| format!("{name} {:.1} s", usage::cpu_seconds(*pid));
        notes.push(format!("processor time: {}", processes.iter().map(used).collect::<Vec<_>>().join(", ")));
    }
    pair.stop()?;
    let place = if bench.windows.is_some() { "Windows programs under Wine, Windows CPython 3.13" } else { "native" };
    Ok(Report {
        setup: vec![
            format!("`tidegate-load --users {USERS} --hold {HOLD} --timeout 30`, TLS, keep-alive, full handshakes"),
            format!("{place}; the app sleeps 100 ms; every setting default (access log on){setting}"),
        ],
        table,
        notes,
    })
}
