//! Requests that never end: how soon their clients hear of it, and what the others notice.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::Bench;
use super::child::ask;
use super::load::{self, Users};
use super::pair::{self, Pair};
use super::report::{Report, median, row, thousands};
use crate::{machine, process};

const APP: &str = include_str!("apps/slow.py");
const USERS: u32 = 50;
const SLOW_REQUESTS: usize = 3;

/// Measures the others alone, then beside requests stuck in Python code, then beside one stuck in a C call.
pub(crate) fn run(bench: &Bench) -> Result<Report> {
    machine::require(&load::TOOLS)?;
    let rest = format!(
        "apps:\n  slow: {{ wsgi: \"slow:application\", python: '{}', request_timeout: 2s, timeout_grace: 2s }}\nlog: {{ \
         access: off }}\n",
        pair::python(bench)?
    );
    let pair = Pair::start(bench, "site", &rest, &[("slow.py", APP)])?;
    let mut table =
        vec![row(&["phase", "others' requests", "errors", "p50 ms", "p99 ms", "max ms", "502 after s", "target"])];
    let mut phase = |name: &str, path: Option<&str>, hold: u32, target: &str| -> Result<()> {
        let url = format!("https://127.0.0.1:{}/", pair.https);
        let mut command = Users::command(&bench.programs, &url, USERS, hold, &["--think", "10", "--timeout", "10"]);
        let others = command.stdout(Stdio::piped()).spawn()?;
        let mut answers = Vec::new();
        if let Some(path) = path {
            // Not while the others are still connecting.
            std::thread::sleep(Duration::from_secs(1));
            for _ in 0..if path == "loop" { SLOW_REQUESTS } else { 1 } {
                answers.push(slow_request(pair.https, path)?);
            }
        }
        let users = Users::of(others)?;
        println!("{name}: {users}");
        let shown: Vec<String> =
            answers.iter().map(|(status, seconds)| format!("{seconds:.3}{}", unless_502(*status))).collect();
        table.push(vec![
            name.to_owned(),
            thousands(users.figure("requests")?),
            format!("{:.0} {}", users.figure("failed")?, users.errors()),
            format!("{:.1}", users.figure("p50_ms")?),
            format!("{:.1}", users.figure("p99_ms")?),
            format!("{:.1}", users.figure("max_ms")?),
            shown.join(" "),
            target.to_owned(),
        ]);
        if !answers.is_empty() {
            println!("median {:.3} s", median(&answers.iter().map(|(_, seconds)| *seconds).collect::<Vec<_>>()));
        }
        Ok(())
    };
    phase("nothing else", None, 6, "")?;
    phase("requests stuck in Python code, one after the other", Some("loop"), 10, "2 s; no other's error")?;
    phase("one request stuck in a C call", Some("stuck"), 10, "2 s; no other's error")?;
    let (_, metrics) = ask(pair.metrics, "/metrics")?;
    let notes = vec![
        format!("`worker_timeout` in /metrics afterwards: {}", metric(&metrics, "worker_timeout")),
        format!("Python stacks in the log: {}", pair.appserver_log()?.matches("slow.py").count()),
        format!("restarts: {}", metric(&metrics, "_restarts_total")),
    ];
    pair.stop()?;
    Ok(Report {
        setup: vec![
            format!("`tidegate-load --users {USERS} --think 10`, TLS, keep-alive, on `/`; the stuck requests by curl"),
            "request_timeout 2s, timeout_grace 2s, one worker process, other settings default; no access log"
                .to_owned(),
        ],
        table,
        notes,
    })
}

/// Status and seconds, as curl sees them.
fn slow_request(port: u16, path: &str) -> Result<(u16, f64)> {
    let url = format!("https://127.0.0.1:{port}/{path}");
    let text = process::output(process::command("curl").args([
        "--silent",
        "--insecure",
        "--max-time",
        "30",
        "--output",
        "/dev/null",
        "--write-out",
        "%{http_code} %{time_total}",
        &url,
    ]))?;
    let (status, seconds) = text.trim().split_once(' ').context("curl says nothing")?;
    Ok((status.parse()?, seconds.parse()?))
}

fn unless_502(status: u16) -> String {
    if status == 502 { String::new() } else { format!(" (status {status})") }
}

/// Lines of a metric that are not zero.
fn metric(metrics: &str, word: &str) -> String {
    let lines: Vec<String> = metrics
        .lines()
        .filter(|line| line.contains(word) && !line.starts_with('#') && !line.ends_with(" 0"))
        .map(|line| format!("`{line}`"))
        .collect();
    if lines.is_empty() { "none".to_owned() } else { lines.join(", ") }
}
