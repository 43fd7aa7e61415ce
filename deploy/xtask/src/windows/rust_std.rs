//! Rust's standard library for the Windows target: from rustup, or built from Debian's package of its source.
//!
//! Where rustup cannot download (no network but the distribution's mirror, or a tool chain that is not rustup's), the
//! library is built once into the tool chain, from the `rust-src` package of exactly the compiler's version, which apt
//! verifies. The machine's own package sources are not touched: apt runs with a configuration in the cache.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::workspace::WINDOWS_TARGET;
use crate::{cache, machine, process};

/// Names the compiler that the library in the tool chain was built with; absent from rustup's own.
const STAMP: &str = "tidegate-built-by";
/// Suites of Debian that may hold the compiler's version.
const SUITES: [&str; 4] = ["trixie-backports", "trixie", "forky", "sid"];
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Makes sure that `cargo build --target x86_64-pc-windows-gnu` finds its standard library.
pub(crate) fn provide() -> Result<()> {
    let compiler = process::output(process::command("rustc").arg("-vV"))?;
    let sysroot = PathBuf::from(process::output(process::command("rustc").args(["--print", "sysroot"]))?.trim());
    let target = sysroot.join("lib/rustlib").join(WINDOWS_TARGET);
    if is_current(&target, &compiler) {
        return Ok(());
    }
    let _lock = cache::lock("rust-std")?;
    if is_current(&target, &compiler) {
        return Ok(());
    }
    if target.join(STAMP).exists() {
        // Ours, but another compiler's: in rustup's way and in ours.
        cache::remove(&target)?;
    }
    let Err(refusal) = process::run_quietly(process::command("rustup").args(["target", "add", WINDOWS_TARGET])) else {
        return Ok(());
    };
    println!("      rustup cannot provide the Windows standard library; building it from Debian's rust-src");
    build(&target, &compiler).with_context(|| format!("`rustup target add` did not work either: {refusal:#}"))
}

fn is_current(target: &Path, compiler: &str) -> bool {
    let has_std = fs::read_dir(target.join("lib")).is_ok_and(|mut entries| {
        entries.any(|entry| entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("libstd-")))
    });
    has_std && fs::read_to_string(target.join(STAMP)).map_or(true, |stamp| stamp == compiler)
}

fn build(target: &Path, compiler: &str) -> Result<()> {
    let version =
        compiler.lines().find_map(|line| line.strip_prefix("release: ")).context("`rustc -vV` names no release")?;
    let work = cache::directory()?.join(".rust-std.unfinished");
    cache::remove(&work)?;
    fs::create_dir_all(&work)?;
    let package = download_source(&work, version)?;
    process::run_quietly(process::command("dpkg-deb").arg("--extract").arg(&package).arg(work.join("source")))?;
    let library = work.join(format!("source/usr/src/rustc-{version}/library/sysroot/Cargo.toml"));
    let output = work.join("target");
    process::run_quietly(
        process::command("cargo")
            .current_dir(&work)
            .args(["build", "--release", "--locked", "--target", WINDOWS_TARGET])
            .args(["--features", "panic-unwind backtrace", "--manifest-path"])
            .arg(&library)
            .arg("--target-dir")
            .arg(&output)
            // What the compiler's own build sets: the library uses unstable features, and may be linked with LTO.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTFLAGS", "-Zforce-unstable-if-unmarked -Cembed-bitcode=yes")
            .env("__CARGO_DEFAULT_LIB_METADATA", "std")
            .env_remove("CARGO_ENCODED_RUSTFLAGS"),
    )?;
    put_in_place(&output.join(WINDOWS_TARGET).join("release/deps"), target, compiler)?;
    cache::remove(&work)
}

/// Fetches the package of the source with a private apt configuration; apt checks the archive's signature.
fn download_source(work: &Path, version: &str) -> Result<PathBuf> {
    let mirror = machine::debian_mirror()?
        .context("this machine is not Debian: run `rustup target add x86_64-pc-windows-gnu` yourself")?;
    let private = work.join("apt");
    for directory in ["lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(private.join(directory))?;
    }
    for suite in SUITES {
        let source = format!("deb [signed-by={KEYRING}] {mirror} {suite} main\n");
        fs::write(private.join("sources.list"), source)?;
        if process::run_quietly(apt(&private, "apt-get").arg("update")).is_err() {
            continue;
        }
        let known = process::output(apt(&private, "apt-cache").args(["madison", "rust-src"]))?;
        let matching = known
            .lines()
            .filter_map(|line| line.split('|').nth(1).map(str::trim))
            .find(|found| found.strip_prefix(version).is_some_and(|rest| rest.starts_with(['+', '-'])));
        if let Some(found) = matching {
            println!("      rust-src {found} from {suite}");
            process::run_quietly(apt(&private, "apt-get").arg("download").arg(format!("rust-src={found}")))?;
            return fs::read_dir(&private)?
                .filter_map(|entry| Some(entry.ok()?.path()))
                .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
                .context("apt-get download has left no package");
        }
    }
    bail!("Debian has no rust-src {version} in {}", SUITES.join(", "))
}

fn apt(private: &Path, program: &str) -> Command {
    let mut command = process::command(program);
    command.current_dir(private).args(["--quiet", "-o", "Acquire::Retries=3", "-o", "APT::Sandbox::User=root"]);
    for (key, value) in [
        ("Dir::Etc::sourcelist", private.join("sources.list")),
        ("Dir::Etc::sourceparts", PathBuf::from("/dev/null")),
        ("Dir::State::lists", private.join("lists")),
        ("Dir::Cache", private.join("cache")),
    ] {
        command.arg("-o").arg(format!("{key}={}", value.display()));
    }
    command
}

/// Copies the libraries beside the target's place, then renames: an interrupted copy is never found.
fn put_in_place(built: &Path, target: &Path, compiler: &str) -> Result<()> {
    let unfinished = target.with_file_name(format!(".{WINDOWS_TARGET}.unfinished"));
    cache::remove(&unfinished)?;
    let libraries = unfinished.join("lib");
    fs::create_dir_all(&libraries)
        .with_context(|| format!("the Rust tool chain cannot be written to ({})", libraries.display()))?;
    for entry in fs::read_dir(built)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rlib") {
            fs::copy(&path, libraries.join(path.file_name().unwrap_or_default()))?;
        }
    }
    fs::write(unfinished.join(STAMP), compiler)?;
    cache::remove(target)?;
    fs::rename(&unfinished, target)?;
    Ok(())
}
