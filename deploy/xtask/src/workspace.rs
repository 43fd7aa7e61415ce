//! The checkout and cargo: how every verb calls cargo, and what the build produces.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::{cache, process};

/// The target triple of the Windows build.
pub(crate) const WINDOWS_TARGET: &str = "x86_64-pc-windows-gnu";

/// The top directory of the checkout.
pub(crate) fn root() -> Result<PathBuf> {
    // Cargo sets this when it runs us; it follows a checkout that was moved after the build, the constant does not.
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
        .filter(|_| std::env::var("CARGO_PKG_NAME").is_ok_and(|name| name == env!("CARGO_PKG_NAME")))
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let root = manifest.ancestors().nth(2).context("xtask is not in its checkout")?;
    Ok(root.to_owned())
}

/// `cargo`, in the checkout, building into the shared target directory.
pub(crate) fn cargo() -> Result<Command> {
    let mut command = process::command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()?).env("CARGO_TARGET_DIR", cache::target_directory()?);
    // `cargo run` describes xtask to xtask; a build script or test below must not take that for itself.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(name);
        }
    }
    Ok(command)
}

/// Every package but xtask, which must not be replaced while it runs.
pub(crate) const PROGRAMS: [&str; 3] = ["--workspace", "--exclude", "xtask"];

/// The directory that holds the built programs of this machine.
pub(crate) fn programs_directory(release: bool) -> Result<PathBuf> {
    Ok(cache::target_directory()?.join(if release { "release" } else { "debug" }))
}

/// A program of this machine in `directory`.
pub(crate) fn program(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}
