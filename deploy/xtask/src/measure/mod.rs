//! `cargo xtask measure NAME`: the measurements of docs/benchmarks.md, each a function in a file of its own.

use std::ffi::OsString;

use anyhow::{Context as _, Result, bail};

/// One measurement: its name, what it shows, and the function that runs it with the arguments after the name.
struct Measurement {
    name: &'static str,
    shows: &'static str,
    run: fn(&[OsString]) -> Result<()>,
}

const MEASUREMENTS: &[Measurement] = &[];

/// Runs the named measurement.
pub(crate) fn run(args: Vec<OsString>) -> Result<()> {
    let known = || MEASUREMENTS.iter().map(|one| format!("\n  {:<14} {}", one.name, one.shows)).collect::<String>();
    let (name, rest) = args.split_first().with_context(|| format!("name a measurement:{}", known()))?;
    match MEASUREMENTS.iter().find(|one| name == one.name) {
        Some(measurement) => (measurement.run)(rest),
        None => bail!("there is no measurement {name:?}; there are:{}", known()),
    }
}
