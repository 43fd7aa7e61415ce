//! `cargo xtask package`: what people install. Builds in release, lays the files out, and has the field's own tools
//! pack them: zip and wheel by Python, the MSI by wixl, the Debian package by dpkg-deb. Packages are put into
//! `package` of the target directory, those of a debug build into `package-debug`, with their SHA256SUMS.

#[cfg(unix)]
mod debian;
mod manifests;
mod msi;
pub(crate) mod trial;
mod wheel;
mod zip;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::progress::Plan;
use crate::workspace::{self, WINDOWS_TARGET};
use crate::{Arguments, cache, machine, process, python, windows};

/// The version of every crate.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What administrators run with PowerShell; each calls the programs beside it.
const SCRIPTS: [&str; 3] = ["install.ps1", "uninstall.ps1", "selftest.ps1"];

/// A kind of package.
struct Kind {
    name: &'static str,
    shows: &'static str,
    system: System,
    make: fn(&Files) -> Result<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum System {
    Here,
    Windows,
}

const KINDS: &[Kind] = &[
    Kind { name: "zip", shows: "portable, for Windows", system: System::Windows, make: zip::make },
    Kind { name: "msi", shows: "installer, for Windows", system: System::Windows, make: msi::make },
    Kind {
        name: "wheel-windows",
        shows: "for pip, on Windows: commands and worker in a virtual environment",
        system: System::Windows,
        make: wheel::make,
    },
    #[cfg(unix)]
    Kind { name: "deb", shows: "for Debian and its children", system: System::Here, make: debian::make },
    Kind { name: "wheel", shows: "for pip, on this system", system: System::Here, make: wheel::make },
];

/// The files of one package, and where it goes.
pub(super) struct Files {
    /// Where the programs were built.
    pub(super) programs: PathBuf,
    /// Which system they are for.
    pub(super) system: System,
    /// Whether it is to be given away: small rather than quickly made.
    pub(super) release: bool,
    /// An empty directory to lay files out in.
    pub(super) stage: PathBuf,
    /// Where the package goes.
    pub(super) out: PathBuf,
}

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments, named: &[String], url_base: Option<String>) -> Result<()> {
    arguments.no_trailing()?;
    make(named, !arguments.has("--debug"), url_base)
}

/// Makes these, or everything that this machine can make.
fn make(named: &[String], release: bool, url_base: Option<String>) -> Result<()> {
    let known = || KINDS.iter().map(|kind| format!("\n  {:<14} {}", kind.name, kind.shows)).collect::<String>();
    for name in named {
        if !KINDS.iter().any(|kind| kind.name == name) {
            bail!("there is no package {name:?}; there are:{}", known());
        }
    }
    let wanted: Vec<&Kind> = KINDS
        .iter()
        .filter(|kind| if named.is_empty() { kind.is_possible() } else { named.iter().any(|name| name == kind.name) })
        .collect();
    let profile = if release { "release" } else { "debug" };
    let out = directory(release)?;
    fs::create_dir_all(&out)?;
    let mut plan = Plan::default();
    for system in [System::Windows, System::Here] {
        if wanted.iter().any(|kind| kind.system == system) {
            plan.step(format!("build, {profile}, {}", system.name()), move || build(system, release));
        }
    }
    for kind in &wanted {
        let out = out.clone();
        plan.step(kind.name, move || {
            let target = cache::target_directory()?;
            let programs = match kind.system {
                System::Here => target.join(profile),
                System::Windows => target.join(WINDOWS_TARGET).join(profile),
            };
            let stage = out.join(".stage").join(kind.name);
            cache::remove(&stage)?;
            fs::create_dir_all(&stage)?;
            let made = (kind.make)(&Files { programs, system: kind.system, release, stage, out })?;
            println!("      {}", made.display());
            Ok(())
        });
    }
    if wanted.iter().any(|kind| matches!(kind.name, "msi" | "zip")) {
        let out = out.clone();
        plan.step("winget and scoop manifests", move || manifests::write(&out, url_base.as_deref()));
    }
    plan.step("SHA256SUMS", move || sums(&out));
    plan.run()
}

/// Where packages go. Those of a debug build are for trials: nobody should take one for the other.
fn directory(release: bool) -> Result<PathBuf> {
    Ok(cache::target_directory()?.join(if release { "package" } else { "package-debug" }))
}

impl Kind {
    /// Whether it can be made here: Windows packages on Linux or Windows, Debian's on Debian.
    fn is_possible(&self) -> bool {
        match (self.name, self.system) {
            ("deb", _) => machine::find("dpkg-deb").is_some(),
            ("msi", _) => windows::possible_here(),
            (_, System::Windows) => cfg!(windows) || windows::possible_here(),
            (_, System::Here) => !cfg!(windows),
        }
    }
}

impl System {
    fn name(self) -> &'static str {
        match self {
            Self::Here => "for this system",
            Self::Windows => "for Windows",
        }
    }

    /// The programs' file names, and the worker library's.
    pub(super) fn programs(self) -> [&'static str; 4] {
        match self {
            Self::Windows => ["tidegate.exe", "tidegate-proxy.exe", "tidegate-appserver.exe", "tidegate_worker.dll"],
            Self::Here => ["tidegate", "tidegate-proxy", "tidegate-appserver", "libtidegate_worker.so"],
        }
    }
}

fn build(system: System, release: bool) -> Result<()> {
    let mut cargo = workspace::cargo()?;
    cargo.args(["build", "--locked"]).args(workspace::PROGRAMS).args(["--exclude", "tidegate-tests"]);
    if release {
        cargo.arg("--release");
    }
    if system == System::Windows {
        windows::prepare_tool_chain()?;
        cargo.args(["--target", WINDOWS_TARGET]);
    }
    process::run(&mut cargo)
}

impl Files {
    /// Copies the programs into a directory of the stage; symbols stay behind.
    pub(super) fn programs_into(&self, directory: &str) -> Result<PathBuf> {
        let place = self.stage.join(directory);
        fs::create_dir_all(&place)?;
        for name in self.system.programs() {
            let from = self.programs.join(name);
            let to = place.join(name);
            fs::copy(&from, &to).with_context(|| format!("failed to copy {}", from.display()))?;
            let strip = match self.system {
                System::Windows => "x86_64-w64-mingw32-strip",
                System::Here => "strip",
            };
            process::run_quietly(process::command(strip).args(["--strip-debug"]).arg(&to))?;
        }
        Ok(place)
    }

    /// Copies licences, documentation, examples, and the scripts for Windows.
    pub(super) fn papers_into(&self, directory: &str) -> Result<()> {
        let root = workspace::root()?;
        let place = self.stage.join(directory);
        fs::create_dir_all(&place)?;
        for name in ["README.md", "SECURITY.md", "LICENSE", "LICENSE-APACHE", "LICENSE-MIT", "NOTICE"] {
            fs::copy(root.join(name), place.join(name)).with_context(|| format!("failed to copy {name}"))?;
        }
        for (from, to) in [
            ("docs", "docs"),
            ("deploy/examples", "examples"),
            ("deploy/grafana", "grafana"),
            ("deploy/prometheus", "prometheus"),
        ] {
            copy_tracked(&root, Path::new(from), &place.join(to))?;
        }
        if self.system == System::Windows {
            for name in SCRIPTS {
                let from = root.join("deploy/windows").join(name);
                fs::copy(&from, place.join(name)).with_context(|| format!("failed to copy {}", from.display()))?;
            }
        }
        Ok(())
    }

    /// Runs the packing script.
    pub(super) fn archive(&self, kind: &str, out: &Path, more: &[&str]) -> Result<()> {
        let script = self.stage.with_extension("py");
        fs::write(&script, include_str!("archive.py"))?;
        let mut command = process::command(python::of_machine()?);
        let level = if self.release { "9" } else { "1" };
        process::run_quietly(command.arg(&script).args([kind, level]).arg(out).arg(&self.stage).args(more))
    }
}

/// Copies what the repository has below a directory, and nothing that a run left there.
fn copy_tracked(root: &Path, from: &Path, to: &Path) -> Result<()> {
    let listed = process::output(process::command("git").arg("-C").arg(root).args(["ls-files", "-z"]).arg(from))?;
    for name in listed.split('\0').filter(|name| !name.is_empty()) {
        let place = to.join(Path::new(name).strip_prefix(from)?);
        fs::create_dir_all(place.parent().context("a file has a directory")?)?;
        fs::copy(root.join(name), &place).with_context(|| format!("failed to copy {name}"))?;
    }
    Ok(())
}

/// The digests of all packages that are there.
fn sums(out: &Path) -> Result<()> {
    use sha2::{Digest as _, Sha256};
    let mut lines = Vec::new();
    for entry in fs::read_dir(out)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_file() && name != "SHA256SUMS" {
            let digest: String = Sha256::digest(fs::read(&path)?).iter().map(|byte| format!("{byte:02x}")).collect();
            lines.push(format!("{digest}  {name}\n"));
        }
    }
    lines.sort_by(|a, b| a[64..].cmp(&b[64..]));
    fs::write(out.join("SHA256SUMS"), lines.concat())?;
    print!("{}", lines.concat());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scripts_know_the_files_that_are_packed_with_them() {
        let directory = workspace::root().unwrap().join("deploy/windows");
        let mut found: Vec<String> = fs::read_dir(&directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .filter(|name| name.ends_with(".ps1"))
            .collect();
        found.sort();
        let mut packed = SCRIPTS;
        packed.sort_unstable();
        assert_eq!(found, packed);
        let install = fs::read_to_string(directory.join("install.ps1")).unwrap();
        for program in System::Windows.programs() {
            assert!(install.contains(&format!("'{program}'")), "install.ps1 does not copy {program}");
        }
    }
}
