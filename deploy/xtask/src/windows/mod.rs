//! Everything that lets a Linux machine build and run Tidegate's Windows programs.
//!
//! Called by `test`, `ci`, `setup-windows` and `wine`; every part is made once (see [`crate::cache`]) and found again.
//! Proves function, not speed, and only what Wine implements; docs/windows.md has the rest.

pub(crate) mod wine;

mod interpreter;
mod rust_std;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

use self::interpreter::Interpreter;
use crate::machine;
use crate::progress::Plan;

/// What is needed to run a Windows program here.
pub(crate) struct Prepared {
    /// Where Wine comes from.
    pub(crate) wine: wine::Wine,
    /// The Windows Python of the tests, as a path of this machine.
    pub(crate) python: PathBuf,
    /// The oldest that workers run on.
    pub(crate) oldest_python: PathBuf,
}

/// Whether this machine is one where `test` runs the Windows half.
pub(crate) fn possible_here() -> bool {
    cfg!(all(target_os = "linux", target_arch = "x86_64")) && machine::find("apt-get").is_some()
}

/// Prepares what is missing of the tool chain, Wine and the Windows Python.
pub(crate) fn prepare() -> Result<Prepared> {
    if !possible_here() {
        bail!("Windows programs are built and run under Wine on Debian-like Linux (x86-64) only");
    }
    prepare_tool_chain()?;
    let wine = wine::provide().context("failed to provide Wine")?;
    let provide = |one: &Interpreter| one.provide().context("failed to provide the Windows Python");
    let (python, oldest_python) = (provide(&interpreter::FULL)?, provide(&interpreter::OLDEST)?);
    wine::provide_prefix(&wine)?;
    interpreter::FULL.prove(&wine, &python)?;
    interpreter::OLDEST.prove(&wine, &oldest_python)?;
    Ok(Prepared { wine, python, oldest_python })
}

/// Prepares the part that checking and building need: the linker and Rust's standard library for the target.
pub(crate) fn prepare_tool_chain() -> Result<()> {
    machine::require(&machine::WINDOWS_TOOLS).context("the Windows build needs mingw-w64")?;
    rust_std::provide().context("failed to provide Rust's standard library for Windows")
}

/// `cargo xtask setup-windows`.
pub(crate) fn set_up() -> Result<()> {
    let mut plan = Plan::default();
    plan.step("linker and Rust's standard library for Windows", prepare_tool_chain);
    plan.step("Wine, and CPython for Windows in it", || prepare().map(|_| ()));
    plan.run()
}

/// `cargo xtask wine -- PROGRAM ARGS`. `python.exe` stands for the prepared Python.
pub(crate) fn run_by_hand(args: &[OsString]) -> Result<ExitCode> {
    let (program, rest) = args.split_first().context("name a program after `--`")?;
    let prepared = prepare()?;
    let program = if program == "python.exe" { prepared.python.clone().into_os_string() } else { program.clone() };
    let _server = wine::keep_server(&prepared.wine)?;
    wine::finish(&mut wine::command(&prepared.wine, &program, rest)?)
}
