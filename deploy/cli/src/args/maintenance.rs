//! The command line of `tidegate maintenance`.

use std::time::Duration;

use clap::Subcommand;

/// More is an article, not a line.
const LONGEST_MESSAGE: usize = 1000;

#[derive(Debug, Subcommand)]
pub(crate) enum Maintenance {
    /// Answer every request with 503 and a page until `off`, also over restarts.
    On {
        /// One name of the host to close; without it every host.
        #[arg(long, value_name = "NAME")]
        host: Option<String>,

        /// What visitors are told, one line.
        #[arg(long, value_name = "TEXT", value_parser = message)]
        message: Option<String>,

        /// When visitors and crawlers are to come back.
        #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = retry_after)]
        retry_after: Duration,
    },
    /// Serve again.
    Off {
        /// One name of the host to open; without it everything that was closed.
        #[arg(long, value_name = "NAME")]
        host: Option<String>,
    },
    /// Show what is closed.
    Status,
}

fn message(text: &str) -> Result<String, String> {
    if text.trim().is_empty() || text.len() > LONGEST_MESSAGE || text.chars().any(char::is_control) {
        return Err(format!("expected one line of 1 to {LONGEST_MESSAGE} bytes"));
    }
    Ok(text.to_owned())
}

fn retry_after(text: &str) -> Result<Duration, String> {
    let duration = tidegate_site::parse_duration(text)?;
    if duration.is_zero() { Err("expected more than 0".to_owned()) } else { Ok(duration) }
}
