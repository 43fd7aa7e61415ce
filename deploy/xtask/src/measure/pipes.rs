//! Named pipes as the programs use them, beside overlapped I/O of one's own: `deploy/host/tests/pipe_speed`, as a Windows program
//! under Wine.

use anyhow::{Context as _, Result, ensure};

use super::Bench;
use super::report::{Report, median, row, thousands};
use crate::{process, windows, workspace};

const ROUNDS: u32 = 40;
/// As the program names them, and as the table does.
const IMPLEMENTATIONS: [(&str, &str); 3] = [
    ("programs", "tokio, as the programs use it"),
    ("tasks", "overlapped, completions wake tokio's tasks"),
    ("threads", "overlapped, a thread for each end"),
];
const FIGURES: [(&str, &str); 3] =
    [("one", "round trips/s, 1 connection"), ("many", "round trips/s, 16 connections"), ("transfer", "MiB/s, 100 MiB")];

/// Measures all three in turn.
pub(crate) fn run(bench: &Bench) -> Result<Report> {
    let prepared = windows::prepare()?;
    let _server = windows::wine::keep_server(&prepared.wine)?;
    let rounds = bench.seconds(ROUNDS);
    let mut cargo = workspace::cargo()?;
    cargo
        .env("TIDEGATE_PIPE_ROUNDS", rounds.to_string())
        .args(["test", "--release", "--locked", "--target", workspace::WINDOWS_TARGET])
        .args(["--config", &windows::wine::runner()?])
        .args(["-p", "tidegate-host", "--test", "pipe_speed", "--", "--include-ignored", "--nocapture"]);
    let said = process::output(&mut cargo)?;
    let values = |figure: &str, implementation: &str| -> Result<Vec<f64>> {
        let lines = said.lines().filter_map(|line| line.strip_prefix(&format!("pipes {figure} {implementation} ")));
        let values: Vec<f64> = lines.map(str::parse).collect::<Result<_, _>>().context("no number")?;
        ensure!(values.len() == rounds as usize, "{} values of {figure} {implementation}", values.len());
        Ok(values)
    };
    let mut table = vec![row(&["implementation", "what", "median", "lowest to highest", "tokio is, median of rounds"])];
    let mut best = Vec::new();
    for (figure, what) in FIGURES {
        let ours = values(figure, IMPLEMENTATIONS[0].0)?;
        for (implementation, shown) in IMPLEMENTATIONS {
            let theirs = values(figure, implementation)?;
            let ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs).collect();
            let (low, high) =
                theirs.iter().fold((f64::MAX, 0.0_f64), |(low, high), one| (low.min(*one), high.max(*one)));
            if implementation == "tasks" {
                let our_best = ours.iter().fold(0.0_f64, |best, one| best.max(*one));
                best.push(format!("{:.2} ({what})", our_best / high));
            }
            table.push(vec![
                shown.to_owned(),
                what.to_owned(),
                thousands(median(&theirs)),
                format!("{} to {}", thousands(low), thousands(high)),
                format!("{:.2} x", median(&ratios)),
            ]);
        }
    }
    Ok(Report {
        setup: vec![
            format!("a Windows program under Wine, {rounds} rounds, in each of which another implementation is first"),
            "round trips: 512 bytes each way, counted for 250 ms; transfer: writes of 64 KiB, reads into 64 KiB; \
             pipes with buffers of 64 KiB each way; both ends in one process"
                .to_owned(),
            "tokio and tasks: one end on the proxy's eight I/O threads, the other on a worker's single one".to_owned(),
        ],
        table,
        notes: vec![
            format!(
                "the best round of each, which others on the machine disturbed least: tokio is {} of tasks",
                best.join(", ")
            ),
            "Wine does what the Windows kernel does by questions to its server process: speed on a real Windows is \
             not known"
                .to_owned(),
        ],
    })
}
