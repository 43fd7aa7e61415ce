//! A thousand clients that read or write a byte a second, and what a normal client notices of them.

use std::process::{Child, Stdio};

use anyhow::{Context as _, Result, bail};

use super::Bench;
use super::load::Users;
use super::normal::Normal;
use super::pair::{self, Pair};
use super::report::Report;
use super::usage;

const APP: &str = include_str!("apps/slow_clients.py");
/// Of each kind.
const CLIENTS: u32 = 500;
const SECONDS: u32 = 45;
/// How long the slow clients arrive, and how long they stay for beyond what is measured.
const RAMP: u32 = 2;
const MARGIN: u32 = 20;

/// A normal client alone, and then beside the slow ones.
pub(crate) fn run(bench: &Bench) -> Result<Report> {
    let rest = format!(
        "apps:\n  slow: {{ wsgi: \"slow_clients:application\", python: '{}', threads: {{ min: 4, max: 4 }} }}\nlimits: \
         {{ client_timeout: 10m, min_receive_rate: 0, min_send_rate: 0 }}\nlog: {{ access: off }}\n",
        pair::python(bench)?
    );
    let seconds = bench.seconds(SECONDS);
    let pair = Pair::start(bench, "site", &rest, &[("slow_clients.py", APP)])?;
    let proxy = pair.processes().first().context("there is no proxy")?.1;
    let memory = |read: fn(u32) -> Option<f64>| read(proxy).unwrap_or(f64::NAN);
    let mut table = vec![Normal::header("proxy MiB")];
    let client = Normal::new(bench, &pair)?;
    let mut normal = |name: &str| -> Result<Users> {
        let (users, mut row) = client.ask(name, seconds)?;
        row.push(format!("{:.0}", memory(usage::memory)));
        table.push(row);
        Ok(users)
    };
    let at_start = memory(usage::memory);
    let alone = normal("alone")?;
    let stay = seconds + MARGIN;
    let readers = slow_clients(bench, &pair, "/large", "read", &["--method", "GET"], stay)?;
    let writers =
        slow_clients(bench, &pair, "/upload", "write", &["--method", "POST", "--body-bytes", "100000"], stay)?;
    let held = |pair: &Pair| -> bool {
        let connections = pair.metric("tidegate_listener_connections", "");
        let running = pair.metric("tidegate_backend_in_flight", "");
        connections.is_ok_and(|open| open >= f64::from(2 * CLIENTS)) && running.is_ok_and(|running| running == 0.0)
    };
    pair.wait_until(held)?;
    let beside = normal("beside 1,000 slow ones")?;
    let (in_memory, on_disk) =
        (pair.metric("tidegate_buffer_memory_bytes", "")?, pair.metric("tidegate_buffer_disk_bytes", "")?);
    let threads_busy = pair.metric("tidegate_backend_threads_busy", "")?;
    let mut notes = Vec::new();
    for (name, child) in [("reading", readers), ("writing", writers)] {
        let users = Users::of(child)?;
        let (held, failed) = (users.figure("good")?, users.figure("failed")?);
        if failed > 0.0 {
            bail!("{failed} {name} clients were not held to the end: {}", users.errors());
        }
        notes.push(format!("{held:.0} {name} clients were held to the end"));
    }
    pair.wait_until(|pair| pair.metric("tidegate_buffer_disk_bytes", "").is_ok_and(|bytes| bytes == 0.0))?;
    let (most, at_end) = (memory(usage::peak_memory), memory(usage::memory));
    let ratio = |key: &str| -> Result<f64> { Ok(beside.figure(key)? / alone.figure(key)?) };
    notes.push(format!(
        "p99 with them is {:.2} x, p50 {:.2} x (target: p99 at most 2 x)",
        ratio("p99_ms")?,
        ratio("p50_ms")?
    ));
    notes.push(format!(
        "the proxy's memory: {at_start:.0} MiB at the start, at most {most:.0} MiB, {at_end:.0} MiB when they had left"
    ));
    notes.push(format!(
        "what waited for them: {:.1} MiB in memory, {:.0} MiB on the disk; Python threads busy meanwhile: {threads_busy:.0}",
        in_memory / 1_048_576.0,
        on_disk / 1_048_576.0
    ));
    pair.stop()?;
    Ok(Report {
        setup: vec![
            Normal::setup(seconds),
            format!(
                "`tidegate-load --users {CLIENTS} --slow read` on a response of 4 MiB and `--slow write` on a body of 100 kB: plain \
                 HTTP/1.1, a byte a second, so that bytes are bytes; receive buffers as small as the system has them"
            ),
            "threads: { min: 4, max: 4 }; client_timeout 10m, or the proxy would rightly end readers that take less than 64 KiB a \
             minute; no access log".to_owned(),
        ],
        table,
        notes,
    })
}

fn slow_clients(bench: &Bench, pair: &Pair, path: &str, how: &str, extra: &[&str], stay: u32) -> Result<Child> {
    let url = format!("http://127.0.0.1:{}{path}", pair.http);
    let mut command = Users::command(&bench.programs, &url, CLIENTS, stay, &["--slow", how]);
    command.args(extra).args(["--ramp", &RAMP.to_string()]);
    Ok(command.stdout(Stdio::piped()).spawn()?)
}
