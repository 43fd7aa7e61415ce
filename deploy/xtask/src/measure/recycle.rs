//! Workers that are replaced under load, after some requests or at a limit of memory: that no request notices.

use std::process::Stdio;

use anyhow::{Result, bail};

use super::Bench;
use super::load::Users;
use super::pair::{self, Pair};
use super::report::{Report, row, thousands};

const APP: &str = include_str!("apps/leaking.py");
const SECONDS: u32 = 60;
/// Of each method.
const CLIENTS: u32 = 50;
const REQUESTS: u32 = 200;
const MEMORY: &str = "64MiB";
/// With fewer workers recycled nothing would have been shown.
const ENOUGH: f64 = 10.0;

/// Recycling after requests, then by memory.
pub(crate) fn run(bench: &Bench) -> Result<Report> {
    let mut table =
        vec![row(&["recycled", "clients", "requests", "failed", "p50 ms", "p99 ms", "max ms", "workers recycled"])];
    let by_requests = Phase {
        name: format!("after {REQUESTS} requests"),
        setting: format!("{{ requests: {REQUESTS} }}"),
        reason: "requests",
        path: "/",
        think: "0",
        enough: ENOUGH,
    };
    let by_memory = Phase {
        name: format!("at {MEMORY}, an app that leaks"),
        setting: format!("{{ memory: {MEMORY} }}"),
        reason: "memory",
        path: "/leak",
        think: "20",
        enough: 1.0,
    };
    for phase in [by_requests, by_memory] {
        phase.run(bench, &mut table)?;
    }
    let seconds = bench.seconds(SECONDS);
    Ok(Report {
        setup: vec![
            format!(
                "`tidegate-load --users {CLIENTS} --hold {seconds}` twice at once, TLS, keep-alive: one with GET, one with POST and a body of 2,000 bytes"
            ),
            "one worker process; the replacement is ready before the old one drains; every other setting default"
                .to_owned(),
            format!(
                "by memory: every request leaks 20 kB; the clients wait 20 ms after each answer (`--think 20`); a limit varies by a tenth from worker to worker"
            ),
        ],
        table,
        notes: vec![format!(
            "target: no request failed. A run that recycled {ENOUGH:.0} workers or fewer after requests, or none by memory, would have failed"
        )],
    })
}

struct Phase {
    name: String,
    setting: String,
    reason: &'static str,
    path: &'static str,
    think: &'static str,
    enough: f64,
}

impl Phase {
    fn run(&self, bench: &Bench, table: &mut Vec<Vec<String>>) -> Result<()> {
        let rest = format!(
            "apps:\n  leaking: {{ wsgi: \"leaking:application\", python: '{}', recycle: {} }}\n",
            pair::python(bench)?,
            self.setting
        );
        let pair = Pair::start(bench, self.reason, &rest, &[("leaking.py", APP)])?;
        let url = format!("https://127.0.0.1:{}{}", pair.https, self.path);
        let start = |extra: &[&str]| {
            let mut command = Users::command(&bench.programs, &url, CLIENTS, bench.seconds(SECONDS), extra);
            command.args(["--think", self.think]).stdout(Stdio::piped()).spawn()
        };
        let get = start(&["--method", "GET"])?;
        let post = start(&["--method", "POST", "--body-bytes", "2000"])?;
        let (get, post) = (Users::of(get)?, Users::of(post)?);
        let recycled = pair.metric("tidegate_backend_restarts_total", &format!("reason=\"{}\"", self.reason))?;
        let all = pair.metric("tidegate_backend_restarts_total", "")?;
        pair.stop()?;
        for (method, users) in [("GET", get), ("POST", post)] {
            println!("{}, {method}: {users}", self.name);
            table.push(vec![
                self.name.clone(),
                format!("{CLIENTS} {method}"),
                thousands(users.figure("requests")?),
                format!("{:.0} {}", users.figure("failed")?, users.errors()),
                thousands(users.figure("p50_ms")?),
                thousands(users.figure("p99_ms")?),
                thousands(users.figure("max_ms")?),
                thousands(recycled),
            ]);
        }
        if recycled <= self.enough && !bench.trial || recycled == 0.0 {
            bail!("only {recycled} workers were recycled: this shows nothing");
        }
        if all != recycled {
            bail!("{all} workers were replaced, but {recycled} of them because of recycle.{}", self.reason);
        }
        Ok(())
    }
}
