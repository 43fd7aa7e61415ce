//! `cargo xtask measure NAME`: the measurements of docs/benchmarks.md, each a function in a file of its own.
//!
//! Each builds what it measures in release, runs it on loopback ports of its own, ends everything it started, and puts
//! its table into docs/benchmarks.md. None judges speed: targets stand beside the figures.

mod child;
mod connections;
mod deadline;
mod flood;
pub(crate) mod load;
mod memory;
mod nginx;
mod normal;
mod pair;
mod pipes;
mod profile;
mod recycle;
mod reload;
mod report;
mod slow_clients;
mod slowhttp;
mod static_files;
mod throughput;
mod tls;
mod usage;
mod worker;

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use crate::windows::wine::Wine;
use crate::{Arguments, cache, process, windows, workspace};
use report::Report;

/// One measurement: its name, what it shows, and the function that runs it.
struct Measurement {
    name: &'static str,
    shows: &'static str,
    run: fn(&Bench) -> Result<Report>,
}

const MEASUREMENTS: &[Measurement] = &[
    Measurement {
        name: "throughput",
        shows: "requests a second, beside nginx + granian and nginx + waitress",
        run: throughput::run,
    },
    Measurement { name: "flood", shows: "1,000 users at once for a minute, every setting default", run: flood::run },
    Measurement { name: "flood-threads", shows: "the same with threads.max 512", run: flood::run_threads },
    Measurement { name: "deadline", shows: "requests that never end, and what others notice", run: deadline::run },
    Measurement {
        name: "connections",
        shows: "10,000 idle connections and their memory, beside nginx",
        run: connections::run,
    },
    Measurement { name: "memory", shows: "100 MiB up and 1 GiB down, and the memory it takes", run: memory::run },
    Measurement {
        name: "slow-clients",
        shows: "a normal client beside 1,000 that read or write a byte a second",
        run: slow_clients::run,
    },
    Measurement {
        name: "slowhttp",
        shows: "a normal client beside slowhttptest's three modes, 1,000 connections each",
        run: slowhttp::run,
    },
    Measurement {
        name: "reload",
        shows: "certificates, routes and listeners that change under load, and requests lost: none",
        run: reload::run,
    },
    Measurement { name: "recycle", shows: "workers replaced under load, and requests lost: none", run: recycle::run },
    Measurement {
        name: "worker",
        shows: "the worker alone beside granian, requests per second of CPU",
        run: worker::run,
    },
    Measurement { name: "profile", shows: "where a request's time goes in the worker", run: profile::run },
    Measurement { name: "pipes", shows: "named pipes beside overlapped I/O, under Wine", run: pipes::run },
    Measurement { name: "tls", shows: "what testssl.sh finds in the default profile", run: tls::run },
    Measurement { name: "static", shows: "static files, beside nginx", run: static_files::run },
];

const FLAGS: [&str; 4] = ["--wine", "--no-build", "--no-record", "--trial"];

/// A trial is so much shorter.
const TRIAL: u32 = 6;

/// Where and with which programs a measurement runs.
pub(crate) struct Bench {
    /// A directory of its own, empty.
    directory: PathBuf,
    /// Where this system's programs are.
    programs: PathBuf,
    /// With `--wine`: where the Windows programs are, and what runs them.
    windows: Option<(PathBuf, windows::Prepared)>,
    /// The interpreter that has the servers to compare with.
    python: PathBuf,
    /// Only to see whether the measurement works.
    trial: bool,
}

/// Runs the named measurement.
pub(crate) fn run(args: Vec<OsString>) -> Result<()> {
    let known = || MEASUREMENTS.iter().map(|one| format!("\n  {:<14} {}", one.name, one.shows)).collect::<String>();
    let (name, rest) = args.split_first().with_context(|| format!("name a measurement:{}", known()))?;
    let Some(measurement) = MEASUREMENTS.iter().find(|one| name == one.name) else {
        bail!("there is no measurement {name:?}; there are:{}", known());
    };
    let arguments = Arguments::parse(rest.to_vec(), &FLAGS)?;
    arguments.no_trailing()?;
    let wine = arguments.has("--wine");
    if wine && measurement.name != "flood" {
        bail!("only flood is measured under Wine, which proves function, not speed");
    }
    // The pipes' program is a test of its own.
    if !arguments.has("--no-build") && measurement.name != "pipes" {
        build(wine)?;
    }
    let trial = arguments.has("--trial");
    let bench = Bench::new(measurement.name, wine, trial)?;
    let _server = bench.windows.as_ref().map(|(_, prepared)| windows::wine::keep_server(&prepared.wine)).transpose()?;
    let report = (measurement.run)(&bench)?;
    let name = format!("{}{}", measurement.name, if wine { " --wine" } else { "" });
    let section = report.section(&name);
    println!("\n{section}");
    if !trial && !arguments.has("--no-record") {
        report::record(&name, &section)?;
    }
    Ok(())
}

impl Bench {
    fn new(name: &str, wine: bool, trial: bool) -> Result<Self> {
        // In the cache, which is on a disk and visible under Wine.
        let directory = cache::directory()?.join("measure").join(name);
        cache::remove(&directory)?;
        std::fs::create_dir_all(&directory)?;
        let windows = if wine {
            let programs = cache::target_directory()?.join(workspace::WINDOWS_TARGET).join("release");
            Some((programs, windows::prepare()?))
        } else {
            None
        };
        let programs = workspace::programs_directory(true)?;
        Ok(Self { directory, programs, windows, python: crate::python::for_measurements()?, trial })
    }

    /// How long something goes on that takes this long in a run that counts.
    pub(crate) fn seconds(&self, full: u32) -> u32 {
        if self.trial { full.div_ceil(TRIAL) } else { full }
    }

    fn wine(&self) -> Option<&Wine> {
        self.windows.as_ref().map(|(_, prepared)| &prepared.wine)
    }
}

/// Builds what is measured as it is shipped, and the load generator apart from it.
fn build(wine: bool) -> Result<()> {
    println!("building (release)");
    let programs = || -> Result<std::process::Command> {
        let mut cargo = workspace::cargo()?;
        cargo.args(["build", "--release", "--locked"]).args(workspace::PROGRAMS);
        cargo.args(["--exclude", "tidegate-tests"]);
        Ok(cargo)
    };
    if wine {
        windows::prepare()?;
        process::run(programs()?.args(["--target", workspace::WINDOWS_TARGET]))?;
    } else {
        process::run(&mut programs()?)?;
    }
    let mut cargo = workspace::cargo()?;
    cargo.args(["build", "--release", "--locked", "-p", "tidegate-tests", "--bin", "tidegate-load"]);
    process::run(&mut cargo)
}
