//! `cargo xtask ci`: every gate a change must pass. `.ci/run` and the workflow call nothing else.

mod examples;
mod licences;
mod platform;

use anyhow::{Context as _, Result};

use crate::package::trial;
use crate::progress::Plan;
use crate::workspace::WINDOWS_TARGET;
use crate::{Arguments, machine, process, test, up, windows, workspace};

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    arguments.no_trailing()?;
    let windows_too = !arguments.has("--native") && windows::possible_here();
    let mut plan = Plan::default();
    plan.step("tools", || {
        require_component("fmt", "rustfmt")?;
        require_component("clippy", "clippy")?;
        up::check_build_tools()
    });
    plan.step("operating systems only behind the seam", platform::check);
    plan.step("licences", licences::check);
    plan.step("format", || process::run(workspace::cargo()?.args(["fmt", "--all", "--check"])));
    plan.step("clippy", || clippy(&[]));
    if windows_too {
        plan.step("clippy, Windows", || {
            windows::prepare_tool_chain()?;
            clippy(&["--target", WINDOWS_TARGET])
        });
    }
    plan.step("what fuzz targets call", fuzzed);
    plan.step("documentation", || {
        process::run(
            workspace::cargo()?.args(["doc", "--locked", "--no-deps", "--workspace"]).env("RUSTDOCFLAGS", "-Dwarnings"),
        )
    });
    plan.step("examples", || {
        test::build_native()?;
        examples::check()
    });
    test::add_steps(&mut plan, arguments)?;
    // Of what the tests have built.
    let trials = [("windows", windows_too), ("wheel", cfg!(unix)), ("deb", machine::find("dpkg-deb").is_some())];
    let trials: Vec<String> = trials.iter().filter(|(_, is_due)| *is_due).map(|(name, _)| (*name).to_owned()).collect();
    if !trials.is_empty() {
        trial::add_steps(&mut plan, false, &trials);
    }
    plan.run()
}

fn clippy(target: &[&str]) -> Result<()> {
    let mut cargo = workspace::cargo()?;
    cargo.args(["clippy", "--locked", "--workspace", "--all-targets"]).args(target).args(["--", "-D", "warnings"]);
    process::run(&mut cargo)
}

/// Compiles the parts that only the fuzz targets call. The targets themselves take the whole tree a second time.
fn fuzzed() -> Result<()> {
    for package in ["tidegate-site", "tidegate-proxy"] {
        let arguments = ["rustc", "--locked", "--lib", "--profile", "check", "-p", package, "--", "--cfg", "fuzzing"];
        process::run(workspace::cargo()?.args(arguments))?;
    }
    Ok(())
}

/// Rust is often installed without its optional parts.
fn require_component(subcommand: &str, component: &str) -> Result<()> {
    if process::run_quietly(workspace::cargo()?.args([subcommand, "--version"])).is_ok() {
        return Ok(());
    }
    process::run_quietly(process::command("rustup").args(["component", "add", component]))
        .with_context(|| format!("cargo {subcommand} is missing"))
}
