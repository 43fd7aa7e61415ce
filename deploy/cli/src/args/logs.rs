//! The command line of `tidegate logs`.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::ServiceSet;

#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// proxy, appserver, access, or the name of an app. Without it: what both programs log.
    #[arg(value_name = "WHAT")]
    pub(crate) part: Option<String>,

    /// Go on with what is logged from now on, until Ctrl-C.
    #[arg(short, long)]
    pub(crate) follow: bool,

    /// The last records, this many; 100 without --since.
    #[arg(short = 'n', long, value_name = "LINES", value_parser = lines)]
    pub(crate) lines: Option<usize>,

    /// Only what is not older than this, such as 10m or 2h.
    #[arg(long, value_name = "DURATION", value_parser = tidegate_site::parse_duration)]
    pub(crate) since: Option<Duration>,

    /// Only what is at least so severe.
    #[arg(long, value_name = "LEVEL", value_enum, ignore_case = true)]
    pub(crate) level: Option<LogLevel>,

    /// A JSON object a record.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) set: ServiceSet,
}

/// Severity of a log line, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
}

/// More records than these are a matter for --since, which keeps none of them in memory.
const MOST_LINES: usize = 1_000_000;

fn lines(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(lines) if lines <= MOST_LINES => Ok(lines),
        _ => Err(format!("expected a number up to {MOST_LINES}")),
    }
}
