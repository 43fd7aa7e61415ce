//! Where the microseconds of a request go in the worker: samples of its threads, by the library they are in.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};

use super::report::{Report, row};
use super::worker::{APPS, Alone, CONNECTIONS};
use super::{Bench, load, usage};
use crate::machine::{self, Tool};
use crate::process;

const TOOLS: [Tool; 1] = [Tool { program: "perf", package: "linux-perf" }];
const SECONDS: u32 = 12;
/// The load lasts so much longer than the samples, before and after them.
const MARGIN: u32 = 2;
/// Functions that are named.
const FUNCTIONS: usize = 10;

/// One line of perf's report.
struct Share {
    percent: f64,
    thread: String,
    place: String,
}

/// Each app under load, sampled.
pub(crate) fn run(bench: &Bench) -> Result<Report> {
    machine::require(&load::TOOLS)?;
    machine::require(&TOOLS)?;
    let seconds = bench.seconds(SECONDS);
    let mut table = vec![row(&["app", "thread", "in", "share", "µs a request"])];
    let mut notes = Vec::new();
    for app in &APPS {
        let alone = Alone::start(bench, app)?;
        let file = bench.directory.join(format!("{}.perf", app.name));
        let before = usage::cpu_seconds(alone.worker);
        let socket = alone.socket.clone();
        let driver = std::thread::spawn(move || load::over_socket(&socket, CONNECTIONS, seconds + 2 * MARGIN));
        std::thread::sleep(std::time::Duration::from_secs(MARGIN.into()));
        record(alone.worker, &file, seconds)?;
        let Ok(rate) = driver.join() else { bail!("the load has panicked") };
        let micros = (usage::cpu_seconds(alone.worker) - before) * 1e6 / rate?.requests;
        alone.pair.stop()?;

        let mut areas: Vec<(&str, &str, f64)> = Vec::new();
        for share in report(&file, "comm,dso")? {
            let (thread, place) = (thread(&share.thread), library(&share.place));
            match areas.iter_mut().find(|(t, p, _)| (*t, *p) == (thread, place)) {
                Some((.., sum)) => *sum += share.percent,
                None => areas.push((thread, place, share.percent)),
            }
        }
        areas.sort_by(|a, b| b.2.total_cmp(&a.2));
        println!("{}: {micros:.1} µs of CPU a request", app.name);
        for (thread, place, percent) in areas.iter().filter(|(.., percent)| *percent >= 0.5) {
            let cost = format!("{:.2}", micros * percent / 100.0);
            table.push(vec![app.name.into(), (*thread).into(), (*place).into(), format!("{percent:.1} %"), cost]);
        }
        table.push(vec![app.name.into(), "all".into(), "all".into(), "100 %".into(), format!("{micros:.2}")]);

        let mut functions: Vec<(String, f64)> = Vec::new();
        for share in report(&file, "comm,symbol")? {
            let Some(name) = share.place.strip_prefix("[.] ") else { continue };
            let name = name.split_once("  ").map_or(name, |(name, _)| name).trim();
            match functions.iter_mut().find(|(known, _)| known == name) {
                Some((_, sum)) => *sum += share.percent,
                None => functions.push((name.to_owned(), share.percent)),
            }
        }
        functions.sort_by(|a, b| b.1.total_cmp(&a.1));
        let named = functions.iter().take(FUNCTIONS).map(|(name, percent)| format!("`{name}` {percent:.1} %"));
        notes.push(format!("{}, outside the kernel: {}", app.name, named.collect::<Vec<_>>().join(", ")));
    }
    Ok(Report {
        setup: vec![
            format!(
                "`perf record -F 999 -p WORKER` for {seconds} s under `h2load --h1 -t2 -c{CONNECTIONS}` on the worker's Unix socket"
            ),
            "µs: the share of the processor time that the worker has used for each answered request".to_owned(),
        ],
        table,
        notes,
    })
}

fn record(pid: u32, file: &Path, seconds: u32) -> Result<()> {
    let mut perf = process::command("perf");
    perf.args(["record", "--quiet", "-F", "999", "-p", &pid.to_string(), "-o"]).arg(file);
    perf.args(["--", "sleep", &seconds.to_string()]).stdout(Stdio::null());
    process::run_quietly(&mut perf).context("perf cannot sample here (it takes CAP_PERFMON, or root)")
}

fn report(file: &Path, sort: &str) -> Result<Vec<Share>> {
    let mut perf = process::command("perf");
    perf.args(["report", "--stdio", "--no-children", "-t", ";", "--percent-limit", "0", "--sort", sort, "-i"])
        .arg(file);
    Ok(process::output(&mut perf)?.lines().filter_map(parse).collect())
}

/// `12.34%;tidegate-io;[kernel.kallsyms]`.
fn parse(line: &str) -> Option<Share> {
    let mut fields = line.splitn(3, ';').map(str::trim);
    let percent = fields.next()?.trim_end_matches('%').parse().ok()?;
    Some(Share { percent, thread: fields.next()?.to_owned(), place: fields.next()?.to_owned() })
}

fn thread(name: &str) -> &'static str {
    match name.strip_prefix("tidegate-") {
        Some("io") => "I/O",
        Some(number) if number.bytes().all(|b| b.is_ascii_digit()) => "pool",
        _ => "other",
    }
}

fn library(name: &str) -> &'static str {
    if name.starts_with("[kernel") {
        "the kernel"
    } else if name.contains("tidegate_worker") {
        "the worker"
    } else if name.contains("python") {
        "Python"
    } else {
        "the C library"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_report_has_three_parts() {
        let share = parse(" 37.53%;tidegate-io;[kernel.kallsyms] ").unwrap();
        assert_eq!((share.percent, thread(&share.thread), library(&share.place)), (37.53, "I/O", "the kernel"));
        assert_eq!((thread("tidegate-12"), thread("python")), ("pool", "other"));
        assert_eq!((library("libpython3.11.so.1.0"), library("libc.so.6")), ("Python", "the C library"));
        assert!(parse("# Overhead;Command;Shared Object").is_none());
    }
}
