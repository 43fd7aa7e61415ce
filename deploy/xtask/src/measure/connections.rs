//! Ten thousand connections that have asked once and keep silent, and the memory that they take, beside nginx with the same.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::Bench;
use super::child::{Server, Stop, answers, free_port};
use super::load::Users;
use super::nginx::TOOLS;
use super::pair::Pair;
use super::report::{Report, row};
use super::usage;
use crate::{machine, process};

const CONNECTIONS: u32 = 10_000;
/// How long they arrive: what is measured is that they are there, not how fast they came.
const RAMP: u32 = 30;
/// Beyond the ramp; nobody asks a second time before the end.
const HOLD: u32 = 30;
const THINK_MS: &str = "300000";
/// Until all are there.
const ARRIVED: Duration = Duration::from_secs(60);
const KIB: f64 = 1024.0;

/// One server's memory without and with them, in KiB.
struct Memory {
    before: f64,
    with: f64,
}

/// The pair's proxy, then nginx.
pub(crate) fn run(bench: &Bench) -> Result<Report> {
    machine::require(&TOOLS)?;
    let count = if bench.trial { CONNECTIONS / 10 } else { CONNECTIONS };
    let files = bench.directory.join("files");
    std::fs::create_dir_all(&files)?;
    std::fs::write(files.join("1k.bin"), [b'x'; 1024])?;
    let rest =
        format!("hosts: [{{ routes: [{{ path: /, files: '{}' }}] }}]\nlog: {{ access: off }}\n", files.display());
    let pair = Pair::start(bench, "site", &rest, &[])?;
    let certificate = pair.certificate();
    let proxy: Vec<u32> = pair.processes().iter().filter(|(name, _)| *name == "proxy").map(|(_, pid)| *pid).collect();
    let ours = measure(bench, pair.https, count, &proxy)?;
    pair.stop()?;
    let (nginx, port) = nginx(bench, &certificate, &files)?;
    let theirs = measure(bench, port, count, &usage::tree(nginx.id()))?;
    nginx.stop()?;
    let line = |name: &str, memory: &Memory| {
        vec![
            name.to_owned(),
            format!("{:.1}", memory.before / KIB),
            format!("{:.1}", memory.with / KIB),
            format!("{:.1}", (memory.with - memory.before) / f64::from(count)),
        ]
    };
    Ok(Report {
        setup: vec![
            format!(
                "`tidegate-load --users {count} --ramp {RAMP} --hold {HOLD} --think {THINK_MS}`: TLS, HTTP/1.1, one request of 1 KiB \
                 each, then idle"
            ),
            "memory: proportional set size (Pss) of the proxy, and of nginx' master and workers; access logs off"
                .to_owned(),
        ],
        table: vec![
            row(&["", "MiB without", "MiB with all", "KiB a connection"]),
            line("Tidegate", &ours),
            line("nginx", &theirs),
        ],
        notes: vec![format!("all in all {:.2} x nginx' memory (target: at most 1.5 x)", ours.with / theirs.with)],
    })
}

fn measure(bench: &Bench, port: u16, count: u32, processes: &[u32]) -> Result<Memory> {
    let url = format!("https://127.0.0.1:{port}/1k.bin");
    // A server's first requests allocate what later ones use again.
    Users::run(&mut Users::command(&bench.programs, &url, 10, 1, &[]))?;
    let before = memory(processes);
    let mut command = Users::command(&bench.programs, &url, count, HOLD, &["--think", THINK_MS]);
    let child = command.args(["--ramp", &RAMP.to_string()]).stdout(Stdio::piped()).spawn()?;
    let end = Instant::now() + ARRIVED;
    while established(port)? < count as usize {
        if Instant::now() > end {
            bail!("{} of {count} connections are there after {} s", established(port)?, ARRIVED.as_secs());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    // The last ones' requests.
    std::thread::sleep(Duration::from_secs(3));
    let with = memory(processes);
    let users = Users::of(child)?;
    let failed = users.figure("failed")?;
    if failed > 0.0 {
        bail!("{failed} connections failed: {}", users.errors());
    }
    println!("port {port}: {before:.0} KiB without, {with:.0} KiB with {count} connections");
    Ok(Memory { before, with })
}

/// What processes have in memory, what they share counted once, in KiB.
fn memory(processes: &[u32]) -> f64 {
    let one = |pid: &u32| -> Option<f64> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        line.trim().strip_suffix("kB")?.trim().parse().ok()
    };
    processes.iter().filter_map(one).sum()
}

/// Connections that a port has now.
fn established(port: u16) -> Result<usize> {
    let own = format!(":{port:04X}");
    let table = std::fs::read_to_string("/proc/net/tcp")?;
    let is_one = |line: &&str| {
        let mut fields = line.split_whitespace().skip(1);
        fields.next().is_some_and(|local| local.ends_with(&own)) && fields.nth(1) == Some("01")
    };
    Ok(table.lines().filter(is_one).count())
}

/// nginx with room for them, and its port.
fn nginx(bench: &Bench, certificate: &(PathBuf, PathBuf), files: &std::path::Path) -> Result<(Server, u16)> {
    let (https, http) = (free_port()?, free_port()?);
    let directory = bench.directory.join("nginx");
    std::fs::create_dir_all(&directory)?;
    let user = if machine::is_root() { "user root;" } else { "" };
    let config = format!(
        "{user}
worker_processes 2;
worker_rlimit_nofile 20000;
daemon off;
pid {dir}/pid;
error_log {dir}/error.log;
events {{ worker_connections 12000; }}
http {{
  access_log off;
  keepalive_timeout 300s;
  client_body_temp_path {dir}/body;
  proxy_temp_path {dir}/proxy;
  fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi;
  scgi_temp_path {dir}/scgi;
  server {{
    listen 127.0.0.1:{http};
    listen 127.0.0.1:{https} ssl http2 backlog=4096;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    ssl_protocols TLSv1.2 TLSv1.3;
    location / {{ root {files}; }}
  }}
}}
",
        dir = directory.display(),
        certificate = certificate.0.display(),
        key = certificate.1.display(),
        files = files.display(),
    );
    let file = directory.join("nginx.conf");
    std::fs::write(&file, config)?;
    let mut command = process::command("nginx");
    command.arg("-p").arg(&directory).arg("-e").arg(directory.join("error.log")).arg("-c").arg(&file);
    let mut server = Server::start("nginx", command, Stop::Signal, &directory)?;
    server.wait_until(|| answers(http, "/1k.bin"))?;
    Ok((server, https))
}
