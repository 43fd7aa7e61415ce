//! Certificates, routes and listeners that change again and again under load: that no request notices.

use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::Bench;
use super::child::{answers, ask, free_port};
use super::load::{self, Users};
use super::pair::{self, Pair};
use super::report::{Report, row, thousands};
use crate::machine::{self, Tool};
use crate::process;

const APP: &str = include_str!("apps/reloaded.py");
const SECONDS: u32 = 60;
/// With one connection each for the whole time.
const CLIENTS: u32 = 100;
/// With a new connection for each request, so that handshakes meet certificates that change.
const ANEW: u32 = 4;
const ANEW_THINK_MS: &str = "20";
/// HTTP/2 connections, and requests at a time on each.
const HTTP2: (u32, u32) = (4, 5);
const WATCH: &str = "200ms";
/// With fewer changes of a kind, or fewer answers, nothing would have been shown.
const ENOUGH_CHANGES: u32 = 10;
const ENOUGH_REQUESTS: f64 = 100_000.0;

/// Clients of three kinds, and meanwhile one change after the other.
pub(crate) fn run(bench: &Bench) -> Result<Report> {
    machine::require(&load::TOOLS)?;
    machine::require(&[Tool { program: "openssl", package: "openssl" }])?;
    let certificates = [Certificate::make(bench, "one")?, Certificate::make(bench, "other")?];
    let files = [("reloaded.py", APP), ("site.pem", &*certificates[0].chain), ("site.key", &*certificates[0].key)];
    let pair = Pair::start(bench, "site", &site(bench, 0)?, &files)?;
    let seconds = bench.seconds(SECONDS);
    let url = format!("https://127.0.0.1:{}/", pair.https);
    let users = |clients: u32, extra: &[&str]| {
        Users::command(&bench.programs, &url, clients, seconds, extra).stdout(Stdio::piped()).spawn()
    };
    let end = Instant::now() + Duration::from_secs(seconds.into());
    let kept = users(CLIENTS, &[])?;
    let anew = users(ANEW, &["--close", "--think", ANEW_THINK_MS])?;
    let (changes, http2) = std::thread::scope(|scope| {
        let http2 = scope.spawn(|| load::h2load(&url, HTTP2.0, HTTP2.1, seconds));
        let changes = Changes::make(bench, &pair, &certificates, end);
        (changes, http2.join())
    });
    let (kept, anew) = (Users::of(kept)?, Users::of(anew)?);
    let (changes, http2) = (changes?, http2.ok().context("the thread of h2load has panicked")??);
    let left = pair.metric("tidegate_http_failures_total", "cause=\"client_closed\"")?;
    let failures = pair.metric("tidegate_http_failures_total", "")? - left;
    changes.compare(&pair)?;
    pair.stop()?;

    let mut table = vec![row(&["clients", "requests", "failed", "connections", "p50 ms", "p99 ms", "max ms"])];
    let mut requests = http2.requests;
    for (name, users) in [("keep-alive", &kept), ("a connection for each request", &anew)] {
        println!("{name}: {users}");
        requests += users.figure("good")?;
        table.push(vec![
            format!("{:.0}, HTTP/1.1, {name}", users.figure("users")?),
            thousands(users.figure("requests")?),
            format!("{:.0} {}", users.figure("failed")?, users.errors()),
            thousands(users.figure("connections")?),
            format!("{:.1}", users.figure("p50_ms")?),
            format!("{:.1}", users.figure("p99_ms")?),
            format!("{:.0}", users.figure("max_ms")?),
        ]);
    }
    let (connections, streams) = HTTP2;
    let (name, http2) = (format!("{connections}, HTTP/2, {streams} requests at a time"), thousands(http2.requests));
    table.push(row(&[&name, &http2, "0", &connections.to_string(), "", "", ""]));
    if !bench.trial && (changes.fewest() < ENOUGH_CHANGES || requests < ENOUGH_REQUESTS) {
        bail!("{requests} requests during {changes:?}: this shows too little");
    }
    Ok(Report {
        setup: vec![
            format!(
                "at once, over TLS, for {seconds} s: `tidegate-load --users {CLIENTS}`; `tidegate-load --users {ANEW} --close \
                 --think {ANEW_THINK_MS}`; `h2load -c{connections} -m{streams}`, which would have ended the run with its first error"
            ),
            format!(
                "meanwhile, one after the other and each seen to work before the next: the certificate's files are replaced \
                 (`tls.watch: {WATCH}`) and OpenSSL gets the new one; a route comes, one goes and the app gets another \
                 environment, by `tidegate reload`; a listener comes, by another, and goes, by a third"
            ),
            "one worker process, replaced by each reload; every other setting default".to_owned(),
        ],
        table,
        notes: vec![
            format!(
                "while they ran: {} certificates replaced, {} times routes and app changed, {} listeners come and gone",
                changes.certificates, changes.routes, changes.listeners
            ),
            format!(
                "{} requests answered; failures that the proxy counted: {failures:.0}, and {left:.0} requests that were \
                 under way when h2load's time was up and it left (target: no request failed)",
                thousands(requests)
            ),
            format!(
                "a run with fewer than {ENOUGH_CHANGES} changes of a kind or {} answers would have failed",
                thousands(ENOUGH_REQUESTS)
            ),
        ],
    })
}

/// What follows listeners and metrics in the site file.
fn site(bench: &Bench, round: u32) -> Result<String> {
    Ok(format!(
        "certificates: [{{ certificate: site.pem, key: site.key }}]\ntls: {{ watch: {WATCH} }}\napps:\n  reloaded: {{ wsgi: \
         \"reloaded:application\", python: '{}', environment: {{ ROUND: \"{round}\" }} }}\nhosts:\n  - routes: [{{ path: /, \
         app: reloaded }}, {{ path: /round-{round}, app: reloaded }}]\n",
        pair::python(bench)?
    ))
}

/// A self-signed certificate, as PEM.
struct Certificate {
    chain: String,
    key: String,
}

impl Certificate {
    fn make(bench: &Bench, name: &str) -> Result<Self> {
        let (chain, key) = (bench.directory.join(format!("{name}.pem")), bench.directory.join(format!("{name}.key")));
        let mut openssl = openssl();
        openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
        openssl.args(["-days", "30", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]);
        process::run_quietly(openssl.arg("-out").arg(&chain).arg("-keyout").arg(&key))?;
        Ok(Self { chain: std::fs::read_to_string(chain)?, key: std::fs::read_to_string(key)? })
    }

    fn put(&self, directory: &Path) -> Result<()> {
        std::fs::write(directory.join("site.pem"), &self.chain)?;
        Ok(std::fs::write(directory.join("site.key"), &self.key)?)
    }

    /// Whether a new connection gets it.
    fn is_presented(&self, port: u16) -> bool {
        let mut client = openssl();
        client.args(["s_client", "-connect", &format!("127.0.0.1:{port}"), "-servername", "localhost"]);
        process::output(&mut client).is_ok_and(|said| said.contains(self.chain.trim()))
    }
}

fn openssl() -> Command {
    process::command("openssl")
}

/// How often each kind of change was seen to work while the clients ran.
#[derive(Debug, Default)]
struct Changes {
    certificates: u32,
    routes: u32,
    listeners: u32,
    /// Runs of `tidegate reload`, with those of a last round that came too late to count.
    reloads: u32,
}

impl Changes {
    fn make(bench: &Bench, pair: &Pair, certificates: &[Certificate; 2], end: Instant) -> Result<Self> {
        let mut changes = Self::default();
        let mut round = 0;
        let in_time = || u32::from(Instant::now() < end);
        while Instant::now() < end {
            round += 1;
            let certificate = &certificates[round as usize % certificates.len()];
            certificate.put(pair.directory())?;
            pair.wait_until(|pair| certificate.is_presented(pair.https))?;
            changes.certificates += in_time();

            let rest = site(bench, round)?;
            changes.reload(bench, pair, &rest, None)?;
            for (path, expected) in [(round, format!("{round} /round-{round}")), (round - 1, format!("{round} "))] {
                let answer = ask(pair.http, &format!("/round-{path}"))?;
                if answer != (200, expected.clone()) {
                    bail!("/round-{path} answers {answer:?} instead of {expected:?}");
                }
            }
            changes.routes += in_time();

            let port = free_port()?;
            changes.reload(bench, pair, &rest, Some(port))?;
            if !answers(port, "/") {
                bail!("the new listener does not answer");
            }
            changes.reload(bench, pair, &rest, None)?;
            pair.wait_until(|_| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err())?;
            changes.listeners += in_time();
        }
        Ok(changes)
    }

    fn reload(&mut self, bench: &Bench, pair: &Pair, rest: &str, listener: Option<u16>) -> Result<()> {
        self.reloads += 1;
        pair.reload(bench, rest, listener)
    }

    fn fewest(&self) -> u32 {
        self.certificates.min(self.routes).min(self.listeners)
    }

    /// The proxy has to have counted what was seen.
    fn compare(&self, pair: &Pair) -> Result<()> {
        let reloads = pair.metric("tidegate_config_reloads_total", "result=\"ok\"")?;
        let certificates = pair.metric("tidegate_certificate_reloads_total", "result=\"ok\"")?;
        if reloads != f64::from(self.reloads) || certificates < f64::from(self.certificates) {
            bail!("the proxy counted {reloads} reloads and {certificates} new certificates; seen were {self:?}");
        }
        Ok(())
    }
}
