//! A normal client, which pauses between its requests, and what it notices of others: for the measurements with slow ones.

use anyhow::Result;

use super::Bench;
use super::load::Users;
use super::pair::Pair;
use super::report::{row, thousands};

const THINK_MS: &str = "10";

/// The client.
pub(crate) struct Normal<'a> {
    bench: &'a Bench,
    url: String,
}

impl<'a> Normal<'a> {
    /// One that has asked before: the first requests of a new pair are slower than any later ones.
    pub(crate) fn new(bench: &'a Bench, pair: &Pair) -> Result<Self> {
        let normal = Self { bench, url: format!("https://127.0.0.1:{}/", pair.https) };
        Users::run(&mut normal.command(2, &[]))?;
        Ok(normal)
    }

    fn command(&self, seconds: u32, extra: &[&str]) -> std::process::Command {
        Users::command(&self.bench.programs, &self.url, 1, seconds, extra)
    }

    /// For the report.
    pub(crate) fn setup(seconds: u32) -> String {
        format!("`tidegate-load --users 1 --think {THINK_MS} --hold {seconds}`, TLS, keep-alive: the normal client")
    }

    /// The first row of a table, which ends with a column of the measurement's own.
    pub(crate) fn header(own: &str) -> Vec<String> {
        row(&["a normal client", "requests", "errors", "p50 ms", "p99 ms", "max ms", own])
    }

    /// Asks for so long: what it has seen, and the row of it, without the last column.
    pub(crate) fn ask(&self, name: &str, seconds: u32) -> Result<(Users, Vec<String>)> {
        let users = Users::run(&mut self.command(seconds, &["--think", THINK_MS]))?;
        println!("{name}: {users}");
        let row = vec![
            name.to_owned(),
            thousands(users.figure("requests")?),
            format!("{:.0} {}", users.figure("failed")?, users.errors()),
            format!("{:.2}", users.figure("p50_ms")?),
            format!("{:.2}", users.figure("p99_ms")?),
            format!("{:.1}", users.figure("max_ms")?),
        ];
        Ok((users, row))
    }
}
