//! Programs of a Debian tree in the cache, run in a mount namespace of their own in which the checkout, the target
//! directory and the cache appear at their own paths. Used for Wine and for Pythons that this machine has not. Takes
//! the right to mount (CAP_SYS_ADMIN); nothing stays mounted.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};

use crate::{cache, process, workspace};

/// Where shells and packages of the tree are.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// A command that runs a program of the tree at `place` in the cache, with the caller's environment.
pub(crate) fn command(place: &str, program: &OsStr) -> Result<Command> {
    let mut command = unshared()?;
    command.arg("tree-inside").arg(place).arg(program);
    Ok(command)
}

/// What starts this program again in a new mount namespace, for a verb that goes on inside.
pub(crate) fn unshared() -> Result<Command> {
    let mut command = process::command("unshare");
    command.args(["--mount", "--propagation", "private", "--"]).arg(std::env::current_exe()?);
    command.env("TIDEGATE_CACHE", cache::directory()?).env("CARGO_TARGET_DIR", cache::target_directory()?);
    Ok(command)
}

/// The second half of [`command`]: `xtask tree-inside PLACE PROGRAM ARGS`.
pub(crate) fn run_inside(args: &[OsString]) -> Result<ExitCode> {
    let [place, program, rest @ ..] = args else { anyhow::bail!("no program to run") };
    let tree = cache::directory()?.join(place);
    let mut command = enter(&tree, Vec::new())?;
    command.arg(program).args(rest).env("PATH", PATH);
    become_program(&mut command)
}

/// Mounts what programs need into the tree, and returns the command that changes the root and goes to the working
/// directory. `own`: directories that have to be seen beside the checkout, the target directory and the cache.
pub(crate) fn enter(tree: &Path, mut own: Vec<PathBuf>) -> Result<Command> {
    let here = std::env::current_dir()?;
    own.extend([cache::directory()?, workspace::root()?, cache::target_directory()?, here.clone()]);
    for path in visible(own) {
        bind(&path, tree, "--bind")?;
    }
    // Last and with what is mounted below them: the cache, bound above, holds this tree itself.
    for system in ["/proc", "/sys", "/dev"] {
        bind(Path::new(system), tree, "--rbind")?;
    }
    let mut command = Command::new("chroot");
    command.arg(tree).args(["/usr/bin/env", "-C"]).arg(here);
    Ok(command)
}

/// Leaves out what the tree has itself (a program of the tree named by its path) and what is inside another one.
fn visible(mut paths: Vec<PathBuf>) -> Vec<PathBuf> {
    paths.sort();
    let mut kept: Vec<PathBuf> = Vec::new();
    for path in paths {
        let is_system =
            path.parent().is_none() || ["/usr", "/bin", "/lib", "/etc"].iter().any(|own| path.starts_with(own));
        if !is_system && !kept.iter().any(|outer| path.starts_with(outer)) {
            kept.push(path);
        }
    }
    kept
}

fn bind(path: &Path, tree: &Path, how: &str) -> Result<()> {
    let inside = tree.join(path.strip_prefix("/").unwrap_or(path));
    fs::create_dir_all(path)?;
    fs::create_dir_all(&inside)?;
    process::run_quietly(process::command("mount").arg(how).arg(path).arg(&inside))
        .context("this needs the right to mount (CAP_SYS_ADMIN)")
}

/// Replaces this process, so that signals reach the program and its exit code is the answer.
#[cfg(unix)]
pub(crate) fn become_program(command: &mut Command) -> Result<ExitCode> {
    use std::os::unix::process::CommandExt as _;
    Err(command.exec().into())
}

#[cfg(not(unix))]
pub(crate) fn become_program(_command: &mut Command) -> Result<ExitCode> {
    anyhow::bail!("mount namespaces are Linux'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_directories_are_mounted_once_and_the_trees_own_never() {
        let paths = ["/home/ann/tidegate/tests", "/home/ann/tidegate", "/", "/usr/lib/wine", "/home/ann/tidegate-2"]
            .map(PathBuf::from)
            .to_vec();
        assert_eq!(visible(paths), ["/home/ann/tidegate", "/home/ann/tidegate-2"].map(PathBuf::from));
    }
}
