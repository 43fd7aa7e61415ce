//! `cargo xtask matrix`: the worker's conformance suite on every Python that can be had, one binary for all of them.
//!
//! Interpreters are looked for on PATH and among pyenv's; with `--fetch`, on Debian as root, the newer ones that Debian's
//! next release has are put into a tree in the cache. What was not found is named: it has not run.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::{Arguments, cache, machine, namespace, process, workspace};

/// Every version that the one binary is for.
const MINORS: std::ops::RangeInclusive<u32> = 9..=15;
/// What needs a build of its own, and has to be refused.
const FREE_THREADED: [&str; 2] = ["3.13t", "3.14t"];
/// What Debian's next release has beyond this one; raised with it.
const FETCHED: [&str; 2] = ["3.14", "3.15"];
const SUITE: &str = "forky";
const TREE: &str = "python-debian";
const SCRIPT: &str = "appserver/worker/tests/conformance.py";

/// Where an interpreter is.
enum Place {
    Here(PathBuf),
    InTree(PathBuf),
}

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let tree = if arguments.has("--fetch") { Some(fetch()?) } else { existing_tree()? };
    process::run(workspace::cargo()?.args(["build", "--locked", "-p", "tidegate-worker"]))?;
    let library = library()?;
    let root = workspace::root()?;
    let (mut lines, mut failed) = (Vec::new(), Vec::new());
    let versions = MINORS.map(|minor| format!("3.{minor}")).chain(FREE_THREADED.map(str::to_owned));
    for version in versions {
        let Some(place) = find(&version, tree.as_deref()) else {
            lines.push(format!("{version:<6} not found: not run"));
            continue;
        };
        let exact = process::output(place.command()?.args(["-c", "import sys; print(sys.version.split()[0])"]))?;
        println!("Python {} ({})", exact.trim(), place.path().display());
        let start = Instant::now();
        let mut suite = place.command()?;
        suite.arg(root.join(SCRIPT)).arg(&library).args(&arguments.trailing).current_dir(&root);
        let line = match process::output(&mut suite) {
            Ok(said) => said.lines().last().unwrap_or_default().to_owned(),
            Err(error) if version.ends_with('t') && format!("{error:#}").contains("free-threaded") => {
                "refused, as it has to be".to_owned()
            }
            Err(error) => {
                println!("{error:#}");
                failed.push(version.clone());
                "FAILED".to_owned()
            }
        };
        lines.push(format!("{version:<6} {}: {line}, {:.0} s", exact.trim(), start.elapsed().as_secs_f64()));
    }
    println!("\n{}", lines.join("\n"));
    if !failed.is_empty() {
        bail!("the suite failed on Python {}", failed.join(", "));
    }
    Ok(())
}

impl Place {
    fn path(&self) -> &Path {
        match self {
            Self::Here(path) | Self::InTree(path) => path,
        }
    }

    fn command(&self) -> Result<Command> {
        match self {
            Self::Here(path) => Ok(process::command(path)),
            Self::InTree(path) => namespace::command(TREE, path.as_os_str()),
        }
    }
}

fn find(version: &str, tree: Option<&Path>) -> Option<Place> {
    let name = format!("python{version}");
    // pyenv puts a script for each version on PATH that fails unless that version is chosen.
    let on_path = machine::find(&name).filter(|path| is_version(path, version));
    let here = on_path.or_else(|| of_pyenv(version)).or_else(|| of_launcher(version)).map(Place::Here);
    here.or_else(|| {
        let inside = Path::new("/usr/bin").join(&name);
        let installed = tree?.join("usr/bin").join(&name).exists();
        installed.then_some(Place::InTree(inside))
    })
}

fn is_version(python: &Path, version: &str) -> bool {
    let code = "import sys; print('%d.%d%s' % (*sys.version_info[:2], 't' if 'free-threading' in sys.version else ''))";
    process::output(process::command(python).args(["-c", code])).is_ok_and(|found| found.trim() == version)
}

/// The newest patch release that pyenv has installed.
fn of_pyenv(version: &str) -> Option<PathBuf> {
    let root = std::env::var_os("PYENV_ROOT")
        .map_or_else(|| std::env::home_dir().map(|home| home.join(".pyenv")), |root| Some(root.into()))?;
    let installed = std::fs::read_dir(root.join("versions")).ok()?;
    let names = installed.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let newest = names.filter_map(|name| Some((patch(&name, version)?, name))).max()?.1;
    let python = root.join("versions").join(newest).join("bin/python");
    python.is_file().then_some(python)
}

/// The number behind the version in the name of a directory: `3.9.18`, `3.14.0t`.
fn patch(name: &str, version: &str) -> Option<u32> {
    let (number, t) = version.strip_suffix('t').map_or((version, ""), |number| (number, "t"));
    name.strip_prefix(number)?.strip_prefix('.')?.strip_suffix(t)?.parse().ok()
}

/// Windows' own way.
fn of_launcher(version: &str) -> Option<PathBuf> {
    let launcher = machine::find("py").filter(|_| cfg!(windows))?;
    let args = [format!("-{version}"), "-c".to_owned(), "import sys; print(sys.executable)".to_owned()];
    Some(PathBuf::from(process::output(process::command(launcher).args(args)).ok()?.trim()))
}

fn existing_tree() -> Result<Option<PathBuf>> {
    let place = cache::directory()?.join(TREE);
    Ok(cache::is_current(&place, &tree_version()).then_some(place))
}

fn tree_version() -> String {
    format!("{SUITE} {} 1", FETCHED.join(" "))
}

fn fetch() -> Result<PathBuf> {
    if !machine::can_install() {
        bail!("--fetch takes Debian, and root");
    }
    machine::require(&machine::WINDOWS_TOOLS)?;
    cache::provide(TREE, &tree_version(), |place| {
        println!("      installing Python {} of Debian's {SUITE} into the cache (a minute)", FETCHED.join(" and "));
        let packages: Vec<String> = FETCHED.iter().map(|version| format!("python{version}")).collect();
        let mut command = process::command("mmdebstrap");
        // A release in the making is signed anew every week; a mirror that lags behind still holds what was signed.
        command.arg("--aptopt=Acquire::Check-Valid-Until \"false\"");
        command.args(["--variant=minbase", &format!("--include={}", packages.join(",")), SUITE]).arg(place);
        if let Some(mirror) = machine::debian_mirror()? {
            command.arg(mirror);
        }
        process::run_quietly(&mut command)
    })
}

fn library() -> Result<OsString> {
    let directory = workspace::programs_directory(false)?;
    let names = ["libtidegate_worker.so", "libtidegate_worker.dylib", "tidegate_worker.dll"];
    let library = names.iter().map(|name| directory.join(name)).find(|path| path.is_file());
    Ok(library.context("the worker's library was not built")?.into_os_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_of_pyenv_belongs_to_one_version() {
        for (name, version, expected) in [
            ("3.9.18", "3.9", Some(18)),
            ("3.13.0", "3.1", None),
            ("3.14.2t", "3.14t", Some(2)),
            ("3.14.2t", "3.14", None),
            ("3.14.2", "3.14t", None),
            ("3.14-dev", "3.14", None),
        ] {
            assert_eq!(patch(name, version), expected, "{name} {version}");
        }
    }
}
