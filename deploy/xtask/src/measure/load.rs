//! Drivers of load: wrk and h2load, which others know, for throughput; tidegate-load for users with errors told apart.

use std::fmt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::machine::Tool;
use crate::{process, workspace};

/// wrk and h2load.
pub(crate) const TOOLS: [Tool; 3] = [
    Tool { program: "wrk", package: "wrk" },
    Tool { program: "h2load", package: "nghttp2-client" },
    Tool { program: "curl", package: "curl" },
];

/// One run of wrk or h2load.
pub(crate) struct Rate {
    /// Requests a second.
    pub(crate) rate: f64,
    /// All requests.
    pub(crate) requests: f64,
}

/// HTTP/1.1 with keep-alive. Errors of any kind fail the measurement: a server that refuses is fast.
pub(crate) fn wrk(url: &str, connections: u32, seconds: u32) -> Result<Rate> {
    let text = process::output(process::command("wrk").args([
        "-t2",
        &format!("-c{connections}"),
        &format!("-d{seconds}s"),
        "--timeout=10s",
        url,
    ]))?;
    if let Some(line) = text.lines().find(|line| line.contains("Socket errors") || line.contains("Non-2xx")) {
        bail!("wrk: {url}: {}", line.trim());
    }
    let rate = after(&text, "Requests/sec:").context("wrk says no rate")?;
    let line = text.lines().find(|line| line.contains(" requests in ")).context("wrk says no count")?;
    let requests = line.split_whitespace().next().and_then(|count| count.parse().ok()).context("no count")?;
    Ok(Rate { rate, requests })
}

/// HTTP/2: connections with several requests at a time on each.
pub(crate) fn h2load(url: &str, connections: u32, streams: u32, seconds: u32) -> Result<Rate> {
    run_h2load(url, connections, seconds, &[&format!("-m{streams}")])
}

/// HTTP/1.1 with keep-alive over a Unix socket, which wrk does not know.
pub(crate) fn over_socket(socket: &Path, connections: u32, seconds: u32) -> Result<Rate> {
    run_h2load("http://localhost/", connections, seconds, &["--h1", "-B", &format!("unix:{}", socket.display())])
}

fn run_h2load(url: &str, connections: u32, seconds: u32, how: &[&str]) -> Result<Rate> {
    let threads = connections.min(2);
    let text = process::output(
        process::command("h2load")
            .args([format!("-t{threads}"), format!("-c{connections}"), format!("-D{seconds}")])
            .args(how)
            .arg(url),
    )?;
    let requests = text.lines().find(|line| line.starts_with("requests:")).context("h2load says no count")?;
    if !requests.contains(" 0 failed, 0 errored, 0 timeout") {
        bail!("h2load: {url}: {requests}");
    }
    let requests = after(requests, "done").or_else(|| before(requests, " succeeded")).context("no count")?;
    let finished = text.lines().find(|line| line.starts_with("finished in")).context("h2load says no rate")?;
    Ok(Rate { rate: before(finished, " req/s").context("no rate")?, requests })
}

/// What tidegate-load says, read from its JSON, in which no key is there twice.
pub(crate) struct Users {
    json: String,
}

impl Users {
    /// Starts it; the caller waits with [`Users::of`].
    pub(crate) fn command(programs: &Path, url: &str, users: u32, hold: u32, extra: &[&str]) -> Command {
        let mut command = process::command(workspace::program(programs, "tidegate-load"));
        command.args(["--json", "--url", url, "--users", &users.to_string(), "--hold", &hold.to_string()]);
        command.args(extra);
        command
    }

    /// Runs it to the end.
    pub(crate) fn run(command: &mut Command) -> Result<Self> {
        Ok(Self { json: process::output(command)? })
    }

    /// Waits for one that was started with its output piped.
    pub(crate) fn of(child: std::process::Child) -> Result<Self> {
        let output = child.wait_with_output()?;
        if !output.status.success() {
            bail!("tidegate-load failed ({})", output.status);
        }
        Ok(Self { json: String::from_utf8(output.stdout)? })
    }

    /// A figure.
    pub(crate) fn figure(&self, key: &str) -> Result<f64> {
        let found = after(&self.json, &format!("\"{key}\":"));
        found.with_context(|| format!("tidegate-load says no {key}: {}", self.json))
    }

    /// The kinds of errors with their counts.
    pub(crate) fn errors(&self) -> &str {
        self.json
            .split_once("\"errors\":")
            .map_or("?", |(_, errors)| errors.trim().trim_end_matches('}').trim_matches('{'))
    }
}

impl fmt::Display for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.json.trim())
    }
}

/// The number behind a word.
fn after(text: &str, word: &str) -> Option<f64> {
    let (_, rest) = text.split_once(word)?;
    let rest = rest.trim_start();
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    rest[..end].parse().ok()
}

/// The number in front of a word.
fn before(text: &str, word: &str) -> Option<f64> {
    let (rest, _) = text.split_once(word)?;
    let start = rest.rfind(|c: char| !c.is_ascii_digit() && c != '.').map_or(0, |at| at + 1);
    rest[start..].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_beside_their_words() {
        assert_eq!(after("Requests/sec:  41234.56\n", "Requests/sec:"), Some(41234.56));
        assert_eq!(before("finished in 5.00s, 123456.78 req/s, 3MB/s", " req/s"), Some(123456.78));
        let users = Users { json: "{\"good\":7,\"p99_ms\":1.5,\"errors\":{\"timeout\":3}}\n".into() };
        assert_eq!((users.figure("p99_ms").unwrap(), users.errors()), (1.5, "\"timeout\":3"));
        assert!(users.figure("p90_ms").is_err());
    }
}
