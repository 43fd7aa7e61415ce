//! The wheel for this system, installed by pip and used by `tidegate up`.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use super::page::{expect, fetch, wait_for};
use super::{LONG, LOOK, PATIENCE, adapt, flask_site, free_port, fresh};
use crate::{process, python};

/// `pip install`, then the commands in the virtual environment.
pub(super) fn wheel(packages: &Path) -> Result<()> {
    let place = fresh("venv")?;
    let venv = place.join("venv");
    // With the packages of the tests' environment, Flask among them.
    let tests = python::for_tests()?;
    process::run_quietly(process::command(&tests).args(["-m", "venv"]).arg(&venv))?;
    let wheel = fs::read_dir(packages)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.to_string_lossy().contains("manylinux"))
        .context("there is no wheel for this system")?;
    process::run_quietly(
        process::command(venv.join("bin/pip")).args(["install", "--quiet", "--no-index"]).arg(&wheel),
    )?;
    serves(&place, &venv.join("bin/tidegate"), &tests)
}

/// `init`, `check`, `up`, a page, and the end.
pub(super) fn serves(place: &Path, tidegate: &Path, python: &Path) -> Result<()> {
    let directory = place.join("site");
    flask_site(&directory)?;
    process::run_quietly(process::command(tidegate).arg("init").arg(&directory))?;
    let (file, port) = (directory.join("tidegate.yaml"), free_port()?);
    adapt(&file, python.to_str().context("the path of Python is not valid Unicode")?, port, LONG)?;
    process::run_quietly(process::command(tidegate).arg("--config").arg(&file).arg("check"))?;
    let mut up = process::command(tidegate)
        .arg("--config")
        .arg(&file)
        .args(["up", "--quiet"])
        .stderr(Stdio::null())
        .spawn()
        .context("failed to start `tidegate up`")?;
    let served = wait_for(port, "/", "version 1").and_then(|()| expect(port, "/static/style.css", 200, "teal"));
    // The pair goes with the command that started it.
    up.kill()?;
    up.wait()?;
    served?;
    let start = Instant::now();
    while fetch(port, "/").is_ok() {
        if start.elapsed() > PATIENCE {
            bail!("the site still serves after its end");
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}
