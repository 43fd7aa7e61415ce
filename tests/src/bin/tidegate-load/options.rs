//! The command line.

use std::time::Duration;

/// Closed-loop users against a server on this machine: each sends its next request when the last one is answered.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "tidegate-load")]
pub(crate) struct Options {
    /// http:// or https://, a loopback address or localhost, any port
    #[arg(long)]
    pub(crate) url: String,
    /// How many users there are
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) users: u32,
    /// Seconds over which the users arrive evenly; 0: all at once
    #[arg(long, default_value = "0", value_parser = seconds)]
    pub(crate) ramp: Duration,
    /// Seconds that the users go on after the last one arrived
    #[arg(long, default_value = "10", value_parser = seconds)]
    pub(crate) hold: Duration,
    /// Seconds that a user waits for a complete answer, connecting included
    #[arg(long, default_value = "30", value_parser = seconds)]
    pub(crate) timeout: Duration,
    /// Request method
    #[arg(long, default_value = "GET")]
    pub(crate) method: String,
    /// A header field, NAME:VALUE; may be given several times
    #[arg(long)]
    pub(crate) header: Vec<String>,
    /// Send a body of this many bytes
    #[arg(long)]
    pub(crate) body_bytes: Option<u64>,
    /// Milliseconds that a user waits between an answer and the next request
    #[arg(long, default_value_t = 0)]
    pub(crate) think: u64,
    /// A new connection for each request
    #[arg(long)]
    pub(crate) close: bool,
    /// Threads that the users are spread over
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) threads: u32,
    /// Slow clients instead of users: each has one connection and reads its answer, or writes its body, a byte a second
    #[arg(long, value_enum)]
    pub(crate) slow: Option<Slow>,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

/// What a slow client does a byte a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Slow {
    /// It takes its answer.
    Read,
    /// It sends its body.
    Write,
}

/// Seconds with decimals, at most an hour: a run has to end.
fn seconds(text: &str) -> Result<Duration, String> {
    let value: f64 = text.parse().map_err(|_| "expected a number of seconds".to_owned())?;
    if !(0.0..=3600.0).contains(&value) {
        return Err("expected 0 to 3600 seconds".to_owned());
    }
    Ok(Duration::from_secs_f64(value))
}
