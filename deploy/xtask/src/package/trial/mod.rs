//! `cargo xtask try-packages`: installs what `package` makes, as an administrator would, and uses it. The Windows
//! packages in Wine with Windows' own Python: a Flask site by the MSI, as services, with an upgrade and a removal; a
//! Django site by the zip; the wheel's programs in a directory like a virtual environment's. The Linux packages: the
//! wheel in a virtual environment, the Debian package in a copy of this system that systemd starts.
//!
//! Everything is put into directories of the cache and Wine's own drive, and removed again.

#[cfg(unix)]
mod debian;
#[cfg(unix)]
mod linux;
mod page;
mod transcript;
mod windows;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::progress::Plan;
use crate::{Arguments, cache};

/// How long something that is on its way may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at it.
const LOOK: Duration = Duration::from_millis(200);

/// A kind of trial.
struct Trial {
    name: &'static str,
    shows: &'static str,
    packages: &'static [&'static str],
    is_possible: fn() -> bool,
    /// Is given the directory of the packages.
    work: fn(&Path) -> Result<()>,
}

const TRIALS: &[Trial] = &[
    Trial {
        name: "windows",
        shows: "Windows packages, in Wine",
        packages: &["zip", "msi", "wheel-windows"],
        is_possible: crate::windows::possible_here,
        work: self::windows::trial,
    },
    #[cfg(unix)]
    Trial {
        name: "wheel",
        shows: "wheel in a virtual environment",
        packages: &["wheel"],
        is_possible: || true,
        work: linux::wheel,
    },
    #[cfg(unix)]
    Trial {
        name: "deb",
        shows: "Debian package, in a system of its own",
        packages: &["deb"],
        is_possible: || crate::machine::find("dpkg-deb").is_some(),
        work: debian::trial,
    },
];

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments, named: &[String]) -> Result<()> {
    arguments.no_trailing()?;
    for name in named {
        ensure!(TRIALS.iter().any(|trial| trial.name == name), "there is no trial of {name:?}");
    }
    let mut plan = Plan::default();
    add_steps(&mut plan, !arguments.has("--debug"), named);
    if crate::windows::possible_here() && (named.is_empty() || named.iter().any(|name| name == "windows")) {
        plan.step("transcript", transcript::record);
    }
    plan.run()
}

/// Adds the steps of these trials, or of all that are possible here, to a plan.
pub(crate) fn add_steps(plan: &mut Plan<'_>, release: bool, named: &[String]) {
    let is_wanted = |trial: &&Trial| match named {
        [] => (trial.is_possible)(),
        named => named.iter().any(|name| name == trial.name),
    };
    let trials: Vec<&Trial> = TRIALS.iter().filter(is_wanted).collect();
    let packages: Vec<String> = trials.iter().flat_map(|trial| trial.packages).map(|&name| name.to_owned()).collect();
    plan.step("packages", move || super::make(&packages, release, None));
    for trial in trials {
        plan.step(trial.shows, move || (trial.work)(&super::directory(release)?));
    }
}

/// An empty directory of the cache.
fn fresh(name: &str) -> Result<PathBuf> {
    let place = cache::directory()?.join("trial").join(name);
    cache::remove(&place)?;
    fs::create_dir_all(&place)?;
    Ok(place)
}

/// A port that nobody uses now.
fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// A deadline that is waited for, and one that nothing should reach.
const SHORT: &str = "2s";
const LONG: &str = "60s";

const FLASK: &str = "\
import os
import time
from flask import Flask

app = Flask(__name__)


@app.get('/')
def home():
    return 'version 1'


@app.get('/key')
def key():
    try:
        open(os.path.join(os.path.dirname(__file__), 'shop.key')).close()
    except OSError as error:
        return type(error).__name__
    return 'read'


@app.get('/slow')
def slow():
    time.sleep(600)
    return 'never'


pauses = []


@app.get('/pause')
def pause():
    pauses.append(True)
    time.sleep(0.8)
    return 'paused'


@app.get('/paused')
def paused():
    return 'yes' if pauses else 'no'
";

/// A Flask site with a static file.
fn flask_site(place: &Path) -> Result<()> {
    fs::create_dir_all(place.join("static"))?;
    fs::write(place.join("app.py"), FLASK)?;
    fs::write(place.join("static/style.css"), "body { color: teal }\n")?;
    Ok(())
}

/// What `init` wrote, with a port, a Python and a deadline of this trial's.
fn adapt(file: &Path, python: &str, port: u16, timeout: &str) -> Result<()> {
    let written = fs::read_to_string(file).with_context(|| format!("init wrote no {}", file.display()))?;
    let mut ours = String::new();
    let replaced = |line: &str| ["python:", "request_timeout:"].iter().any(|key| line.trim_start().starts_with(key));
    for line in written.lines().filter(|line| !replaced(line)) {
        ours.push_str(&line.replace("[::]:8443", &format!("127.0.0.1:{port}")).replace("[::]:8080", "127.0.0.1:0"));
        ours.push('\n');
        if line.trim_start().starts_with("wsgi:") {
            ours.push_str(&format!("    python: '{python}'\n    request_timeout: {timeout}\n"));
        }
    }
    ours.push_str("metrics: off\n");
    fs::write(file, ours)?;
    Ok(())
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
