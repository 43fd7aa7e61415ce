//! `cargo xtask up`: builds the programs and serves the demonstration site with them.

use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};

use crate::progress::Plan;
use crate::{Arguments, machine, process, python, workspace};

/// Builds, then becomes `tidegate up`.
pub(crate) fn run(arguments: Arguments) -> Result<ExitCode> {
    let release = arguments.has("--release");
    let mut plan = Plan::default();
    plan.step("compiler, cmake and Python", || {
        check_build_tools()?;
        python::of_machine().map(|_| ())
    });
    plan.step("build", || {
        let mut cargo = workspace::cargo()?;
        cargo.args(["build", "--locked"]).args(workspace::PROGRAMS);
        cargo.args(["--exclude", "tidegate-tests"]);
        if release {
            cargo.arg("--release");
        }
        process::run(&mut cargo)
    });
    plan.run()?;

    let program = workspace::program(&workspace::programs_directory(release)?, "tidegate");
    let mut tidegate = Command::new(&program);
    tidegate
        .arg("up")
        .arg("--config")
        .arg(workspace::root()?.join("deploy/examples/demo/tidegate.yaml"))
        .args(&arguments.trailing);
    become_program(&mut tidegate).with_context(|| format!("failed to start {}", program.display()))
}

/// What a build needs besides Rust.
pub(crate) fn check_build_tools() -> Result<()> {
    // Rust's own Windows tool chain knows where its C compiler is; only cmake is looked up on PATH.
    let tools = if cfg!(windows) { &machine::BUILD_TOOLS[2..] } else { &machine::BUILD_TOOLS[..] };
    machine::require(tools).context("a C compiler and cmake are needed to build")
}

/// Replaces this process, so that Ctrl-C and the exit code are the program's own.
#[cfg(unix)]
fn become_program(command: &mut Command) -> Result<ExitCode> {
    use std::os::unix::process::CommandExt as _;
    Err(command.exec().into())
}

#[cfg(not(unix))]
fn become_program(command: &mut Command) -> Result<ExitCode> {
    let code = command.status()?.code().unwrap_or(1);
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}
