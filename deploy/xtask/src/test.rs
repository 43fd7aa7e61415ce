//! `cargo xtask test`: every test on this system, then the same tests as Windows programs under Wine.

use std::ffi::OsString;

use anyhow::{Result, bail};

use crate::progress::Plan;
use crate::workspace::WINDOWS_TARGET;
use crate::{Arguments, machine, process, python, up, windows, workspace};

/// Where the tests look for the interpreter that has Flask and Django.
const PYTHON_VARIABLE: &str = "TIDEGATE_TEST_PYTHON";

/// What is worth its time with the oldest Python as well: everything that runs inside an app's interpreter.
const OLDEST_TESTS: [&str; 6] = ["-p", "tidegate-tests", "--test", "conformance", "--test", "wsgi"];

/// Which of the Windows Pythons.
#[derive(Clone, Copy)]
enum Interpreter {
    Full,
    Oldest,
}

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut plan = Plan::default();
    add_steps(&mut plan, arguments)?;
    plan.run()
}

/// Adds the verb's steps to a plan; `ci` ends with them.
pub(crate) fn add_steps<'a>(plan: &mut Plan<'a>, arguments: &'a Arguments) -> Result<()> {
    let extra = &arguments.trailing;
    let wine = !arguments.has("--native") && windows::possible_here();
    if (arguments.has("--wine-only") || arguments.has("--oldest-python")) && !wine {
        bail!("Windows programs are tested under Wine on Debian-like Linux only");
    }
    if !arguments.has("--wine-only") && !arguments.has("--oldest-python") {
        plan.step("tools for building and testing", || {
            up::check_build_tools()?;
            install_test_tools()
        });
        if needs_programs(extra) {
            plan.step("build", build_native);
        }
        plan.step("test", move || {
            let mut cargo = workspace::cargo()?;
            cargo.env(PYTHON_VARIABLE, python::for_tests()?).args(["test", "--locked"]);
            if !names_packages(extra) {
                cargo.arg("--workspace");
            }
            process::run(cargo.args(extra))
        });
    }
    if wine {
        plan.step("Windows tool chain, Wine and Python", || windows::prepare().map(|_| ()));
        if needs_programs(extra) {
            plan.step("build, Windows", || {
                let mut cargo = workspace::cargo()?;
                process::run(cargo.args(["build", "--locked", "--target", WINDOWS_TARGET]).args(workspace::PROGRAMS))
            });
        }
        if !arguments.has("--oldest-python") {
            plan.step("test, Windows programs under Wine", || test_under_wine(extra, Interpreter::Full));
        }
        if extra.is_empty() {
            plan.step("test, Windows programs under Wine with the oldest Python", || {
                test_under_wine(&OLDEST_TESTS.map(OsString::from), Interpreter::Oldest)
            });
        } else if arguments.has("--oldest-python") {
            plan.step("test, Windows programs under Wine with the oldest Python", || {
                test_under_wine(extra, Interpreter::Oldest)
            });
        }
    }
    Ok(())
}

/// Builds the programs of this system, which the end-to-end tests start.
pub(crate) fn build_native() -> Result<()> {
    process::run(workspace::cargo()?.args(["build", "--locked"]).args(workspace::PROGRAMS))
}

fn test_under_wine(extra: &[OsString], interpreter: Interpreter) -> Result<()> {
    let prepared = windows::prepare()?;
    let python = match interpreter {
        Interpreter::Full => &prepared.python,
        Interpreter::Oldest => &prepared.oldest_python,
    };
    let _server = windows::wine::keep_server(&prepared.wine)?;
    let mut cargo = workspace::cargo()?;
    cargo
        .env(PYTHON_VARIABLE, windows::wine::windows_path(python)?)
        .args(["test", "--locked", "--target", WINDOWS_TARGET])
        .args(["--config", &windows::wine::runner()?]);
    if !names_packages(extra) {
        cargo.args(workspace::PROGRAMS);
    }
    if !names_targets(extra) {
        // Everything but documentation tests, which have run natively.
        cargo.arg("--tests");
    }
    process::run(cargo.args(extra))
}

/// Tools that single tests use; those tests skip themselves (and say so) where a tool cannot be had.
fn install_test_tools() -> Result<()> {
    if machine::can_install() {
        return machine::require(&machine::TEST_TOOLS);
    }
    for tool in machine::TEST_TOOLS.iter().filter(|tool| machine::find(tool.program).is_none()) {
        println!("      {} is not installed: tests that need it cannot run", tool.program);
    }
    Ok(())
}

/// Whether end-to-end tests may run, which start the programs: unless the packages named are others.
fn needs_programs(extra: &[OsString]) -> bool {
    !names_packages(extra) || extra.iter().any(|arg| arg == "tidegate-tests" || arg == "--workspace")
}

fn names_packages(extra: &[OsString]) -> bool {
    any_starts_with(extra, &["-p", "--package", "--workspace"])
}

fn names_targets(extra: &[OsString]) -> bool {
    any_starts_with(extra, &["--test", "--lib", "--bin", "--doc", "--example", "--all-targets"])
}

/// Looks at cargo's own arguments only, which end at `--`.
fn any_starts_with(extra: &[OsString], prefixes: &[&str]) -> bool {
    extra
        .iter()
        .take_while(|arg| *arg != "--")
        .filter_map(|arg| arg.to_str())
        .any(|arg| prefixes.iter().any(|prefix| arg.starts_with(prefix)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_cargos_own_arguments_choose_packages_and_targets() {
        let args = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert!(names_packages(&args("-p tidegate-site")));
        assert!(!needs_programs(&args("-p tidegate-site")));
        assert!(needs_programs(&args("-p tidegate-tests --test reload")));
        assert!(!names_packages(&args("slow -- -p")));
        assert!(names_targets(&args("--test first")));
        assert!(!names_targets(&args("first -- --test-threads 1")));
    }
}
