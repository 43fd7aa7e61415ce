//! Pipes as Tidegate's programs use them, beside overlapped I/O of one's own. `cargo xtask measure pipes` runs it and makes a table
//! of what it prints: a line for each figure, `pipes WHAT IMPLEMENTATION VALUE`, where more is better. It judges nothing.

#![cfg(windows)]
#![allow(clippy::unwrap_used, reason = "a measurement")]

mod completion_port;
mod overlapped;
mod programs;

use std::time::Duration;

/// What a request or a short answer has.
const MESSAGE: usize = 512;
/// What large bodies are written and read by.
const PIECE: usize = 64 << 10;
const TRANSFER: usize = 100 << 20;
/// How long round trips are counted for.
const COUNTED: Duration = Duration::from_millis(250);
const CONNECTIONS: usize = 16;

/// Names are the whole system's.
fn unique(name: &str, number: usize) -> String {
    format!("speed-{name}-{number}-{}", std::process::id())
}

fn mebibytes_a_second(took: Duration) -> f64 {
    (TRANSFER >> 20) as f64 / took.as_secs_f64()
}

const IMPLEMENTATIONS: [&str; 3] = ["programs", "tasks", "threads"];

fn measure(implementation: &str, round: usize) -> [f64; 3] {
    let name = |what: &str| unique(&format!("{implementation}-{what}"), round);
    let (one, many, large) = (name("one"), name("many"), name("large"));
    match implementation {
        "programs" => {
            let trips = [programs::round_trips(one, 1), programs::round_trips(many, CONNECTIONS)];
            [trips[0], trips[1], mebibytes_a_second(programs::transfer(large))]
        }
        "tasks" => {
            let trips = [completion_port::round_trips(&one, 1), completion_port::round_trips(&many, CONNECTIONS)];
            [trips[0], trips[1], mebibytes_a_second(completion_port::transfer(&large))]
        }
        _ => {
            let trips = [overlapped::round_trips(&one, 1), overlapped::round_trips(&many, CONNECTIONS)];
            [trips[0], trips[1], mebibytes_a_second(overlapped::transfer(&large))]
        }
    }
}

#[test]
#[ignore = "a measurement"]
fn pipes_as_the_programs_use_them_beside_overlapped_reads_and_writes() {
    let rounds = std::env::var("TIDEGATE_PIPE_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    // The first round warms up.
    for round in 0..=rounds {
        let mut measured = [[0.0; 3]; IMPLEMENTATIONS.len()];
        // Each goes first in its turn.
        for turn in 0..IMPLEMENTATIONS.len() {
            let which = (round + turn) % IMPLEMENTATIONS.len();
            measured[which] = measure(IMPLEMENTATIONS[which], round);
        }
        if round > 0 {
            for (implementation, values) in IMPLEMENTATIONS.iter().zip(measured) {
                for (what, value) in ["one", "many", "transfer"].iter().zip(values) {
                    println!("\npipes {what} {implementation} {value:.0}");
                }
            }
        }
    }
}
