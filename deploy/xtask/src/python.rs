//! This machine's Python: finding one, and the virtual environment that the tests and measurements use.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::{cache, machine, process};

/// What the tests import. Versions are pinned, dependencies included.
const TEST_PACKAGES: &str = include_str!("../pins/tests.txt");
/// The servers that measurements compare with.
const MEASURE_PACKAGES: &str = include_str!("../pins/measure.txt");

/// The oldest Python that serves applications, and the oldest that the pinned Django runs on.
const OLDEST_FOR_WORKERS: (u32, u32) = (3, 9);
const OLDEST_FOR_TESTS: (u32, u32) = (3, 10);

/// A Python on PATH that can serve applications.
pub(crate) fn of_machine() -> Result<PathBuf> {
    find(OLDEST_FOR_WORKERS)
}

/// The interpreter of the virtual environment with Flask and Django.
pub(crate) fn for_tests() -> Result<PathBuf> {
    environment("venv", &[TEST_PACKAGES])
}

/// The interpreter of the virtual environment that holds the other servers as well.
pub(crate) fn for_measurements() -> Result<PathBuf> {
    environment("venv-measure", &[TEST_PACKAGES, MEASURE_PACKAGES])
}

fn environment(name: &str, pins: &[&str]) -> Result<PathBuf> {
    let base = find(OLDEST_FOR_TESTS)?;
    let identity = process::output(process::command(&base).args(["-c", "import sys; print(sys.version, sys.prefix)"]))?;
    let mut parts = vec![identity.as_str()];
    parts.extend_from_slice(pins);
    let place = cache::provide_in_place(name, &cache::digest(&parts), |place| {
        println!("      making a Python virtual environment ({name})");
        let make = || process::run_quietly(process::command(&base).args(["-m", "venv"]).arg(place));
        // Debian splits the part of `venv` that brings pip into a package of its own.
        if make().is_err() && machine::can_install() {
            machine::install(&["python3-venv"])?;
            cache::remove(place)?;
        }
        make()?;
        let requirements = place.join("requirements.txt");
        std::fs::write(&requirements, pins.concat())?;
        process::run_quietly(
            process::command(interpreter(place))
                .args(["-m", "pip", "install", "--quiet", "--no-deps", "--requirement"])
                .arg(&requirements),
        )
    })?;
    Ok(interpreter(&place))
}

fn interpreter(environment: &Path) -> PathBuf {
    environment.join(if cfg!(windows) { r"Scripts\python.exe" } else { "bin/python" })
}

fn find(oldest: (u32, u32)) -> Result<PathBuf> {
    let mut too_old = None;
    for name in ["python3", "python"] {
        let Some(path) = machine::find(name) else {
            continue;
        };
        // Windows has a `python3.exe` that only opens the Store; it fails here and is passed over.
        let Ok(found) = version(&path) else { continue };
        if found >= oldest {
            return Ok(path);
        }
        too_old = Some((path, found));
    }
    let (major, minor) = oldest;
    match too_old {
        Some((path, found)) => {
            bail!("{} is Python {}.{}; {major}.{minor} or newer is needed", path.display(), found.0, found.1)
        }
        None => bail!("no python3 on PATH; install Python {major}.{minor} or newer"),
    }
}

fn version(python: &Path) -> Result<(u32, u32)> {
    let text = process::output(
        process::command(python).args(["-c", "import sys; print(sys.version_info[0], sys.version_info[1])"]),
    )?;
    let mut numbers = text.split_whitespace().map(str::parse::<u32>);
    let mut next = || Ok::<u32, anyhow::Error>(numbers.next().context("no version in the answer")??);
    Ok((next()?, next()?))
}
