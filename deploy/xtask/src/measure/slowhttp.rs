//! slowhttptest against a site with every limit at its default: slow headers, slow bodies and slow readers, 1,000
//! connections each, and what a normal client notices meanwhile.

use anyhow::{Result, bail};

use super::Bench;
use super::child::{Server, Stop};
use super::load::Users;
use super::normal::Normal;
use super::pair::{self, Pair};
use super::report::{Report, thousands};
use crate::machine::{self, Tool};
use crate::process;

const APP: &str = include_str!("apps/slowhttp.py");
const CLIENTS: &str = "1000";
/// How fast they come.
const ARRIVALS: &str = "500";
/// Of each mode: longer than the limits that end its connections.
const SECONDS: u32 = 90;

/// A mode of slowhttptest: its name, its path, its arguments.
type Mode = (&'static str, &'static str, &'static [&'static str]);

const MODES: [Mode; 3] = [
    // A header line every ten seconds.
    ("slow headers", "/", &["-H", "-i", "10", "-x", "24"]),
    // Ten bytes of 8 KiB every ten seconds.
    ("slow bodies", "/upload", &["-B", "-i", "10", "-s", "8192", "-x", "10", "-t", "POST"]),
    // 32 bytes every five seconds, through a window of 10 to 20 bytes.
    ("slow readers", "/large", &["-X", "-w", "10", "-y", "20", "-n", "5", "-z", "32"]),
];

/// A normal client alone, and then beside each mode.
pub(crate) fn run(bench: &Bench) -> Result<Report> {
    machine::require(&[Tool { program: "slowhttptest", package: "slowhttptest" }])?;
    let rest = format!(
        "apps:\n  slow: {{ wsgi: \"slowhttp:application\", python: '{}' }}\nlog: {{ access: off }}\n",
        pair::python(bench)?
    );
    let pair = Pair::start(bench, "site", &rest, &[("slowhttp.py", APP)])?;
    let seconds = bench.seconds(SECONDS);
    let mut table = vec![Normal::header("slow at once")];
    let client = Normal::new(bench, &pair)?;
    let mut normal = |name: &str, seconds: u32, slow: String| -> Result<Users> {
        let (users, mut row) = client.ask(name, seconds)?;
        row.push(slow);
        table.push(row);
        Ok(users)
    };
    normal("alone", bench.seconds(30), "0".to_owned())?;
    let mut notes = Vec::new();
    for (name, path, arguments) in MODES {
        let mut command = process::command("slowhttptest");
        command.args(["-c", CLIENTS, "-r", ARRIVALS, "-p", "5", "-l", &(seconds + 30).to_string()]).args(arguments);
        command.args(["-u", &format!("http://127.0.0.1:{}{path}", pair.http)]);
        let attack = Server::start(name, command, Stop::Signal, pair.directory())?;
        let open = |pair: &Pair| pair.metric("tidegate_listener_connections", "").unwrap_or(0.0);
        pair.wait_until(|pair| open(pair) >= 900.0)?;
        let users = normal(name, seconds, thousands(open(&pair)))?;
        let (failed, p99) = (users.figure("failed")?, users.figure("p99_ms")?);
        notes.push(format!("beside {name}: {failed:.0} errors, p99 {p99:.1} ms (target: none, below 100 ms)"));
        drop(attack);
        pair.wait_until(|pair| pair.metric("tidegate_listener_connections", "").is_ok_and(|open| open == 0.0))?;
    }
    if !bench.trial && pair.metric("tidegate_http_failures_total", "cause=\"client_timeout\"")? == 0.0 {
        bail!("no slow client was given up: the modes were not slow enough to show anything");
    }
    pair.stop()?;
    Ok(Report {
        setup: vec![
            Normal::setup(seconds),
            format!(
                "`slowhttptest -c {CLIENTS} -r {ARRIVALS}` on plain HTTP, its modes in turn; every limit at its default"
            ),
        ],
        table,
        notes,
    })
}
