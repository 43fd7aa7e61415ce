//! A run's figures as text: a table for people, JSON for programs. No key is used twice in the JSON, and all are flat
//! but `errors`.

use std::fmt::Write as _;

use crate::users::Outcome;

const PERCENTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99_9", 0.999)];

/// For people.
pub(crate) fn table(outcome: &Outcome) -> String {
    let tally = &outcome.tally;
    let latencies = &tally.latencies;
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name:<14} {value:>12}");
    };
    line("users", outcome.users.to_string());
    line("seconds", format!("{:.1}", outcome.elapsed.as_secs_f64()));
    line("requests", (tally.good + tally.failed()).to_string());
    line("requests/s", format!("{:.1}", rate(outcome)));
    line("connections", tally.connections.to_string());
    line("MiB received", format!("{:.1}", tally.received as f64 / 1_048_576.0));
    line("errors", tally.failed().to_string());
    for (failure, count) in &tally.failures {
        line(&format!("  {failure}"), count.to_string());
    }
    for (name, share) in PERCENTILES {
        line(&format!("{} ms", name.replace('_', ".")), format!("{:.2}", latencies.percentile(share)));
    }
    line("max ms", format!("{:.2}", latencies.max()));
    line("mean ms", format!("{:.2}", latencies.mean()));
    text
}

/// For programs.
pub(crate) fn json(outcome: &Outcome) -> String {
    let tally = &outcome.tally;
    let latencies = &tally.latencies;
    let mut text = format!(
        "{{\"users\":{},\"seconds\":{:.3},\"requests\":{},\"requests_per_second\":{:.3},\"good\":{},\"failed\":{},\
         \"connections\":{},\"bytes_received\":{}",
        outcome.users,
        outcome.elapsed.as_secs_f64(),
        tally.good + tally.failed(),
        rate(outcome),
        tally.good,
        tally.failed(),
        tally.connections,
        tally.received,
    );
    for (name, share) in PERCENTILES {
        let _ = write!(text, ",\"{name}_ms\":{:.3}", latencies.percentile(share));
    }
    let _ = write!(text, ",\"max_ms\":{:.3},\"mean_ms\":{:.3}", latencies.max(), latencies.mean());
    let failures: Vec<String> =
        tally.failures.iter().map(|(failure, count)| format!("\"{failure}\":{count}")).collect();
    let _ = writeln!(text, ",\"errors\":{{{}}}}}", failures.join(","));
    text
}

/// Good answers a second.
fn rate(outcome: &Outcome) -> f64 {
    outcome.tally.good as f64 / outcome.elapsed.as_secs_f64().max(0.001)
}
