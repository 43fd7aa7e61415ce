//! `cargo xtask`: everything about Tidegate's development that plain cargo commands do not cover.
//!
//! Called by developers, by `.ci/run` and by the workflow file. Runs on Linux and Windows, starts programs directly
//! (never through a shell), and depends on next to nothing so that it builds in seconds. What it fetches or makes
//! goes to the cache directory (see [`cache`]), never into the checkout.

mod cache;
mod ci;
mod fuzz;
mod machine;
mod matrix;
mod measure;
mod namespace;
mod package;
mod process;
mod progress;
mod python;
mod test;
mod up;
mod windows;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

const HELP: &str = "\
cargo xtask VERB

  up [--release] [-- ARGS]      build Tidegate and serve the demonstration site (ARGS go to `tidegate up`)
  test [--native] [--wine-only] [--oldest-python] [-- ARGS]
                                build and run every test, here and (on Debian) as Windows programs under Wine;
                                --oldest-python: only these, with CPython 3.9 for Windows;
                                ARGS go to `cargo test`: a filter, `-p CRATE`, `--test NAME`
  matrix [--fetch] [-- TESTS]   the worker's conformance suite on every Python that can be had; --fetch installs newer
                                ones than this machine has into the cache (on Debian, as root)
  ci [--native]                 every gate: format, lints on both systems, docs, licences, examples, then `test`
  fuzz [TARGET] [--seconds N] [--keep]
                                run the fuzz targets, a minute each; --keep puts the smallest inputs that reach
                                as much into tests/fuzz/corpus
  measure NAME [ARGS]           run one measurement of docs/benchmarks.md
  package [KIND...] [--debug] [--url-base=URL]
                                what people install: zip, msi, wheel-windows, deb, wheel; without a name all that this
                                machine can make. With the address from which they will be downloaded also manifests
                                for winget and scoop
  try-packages [KIND...] [--debug]
                                make the packages, install them and use them: windows (in Wine), wheel, deb
  setup-windows                 only prepare the Windows build and Wine
  wine -- PROGRAM [ARGS]        run a Windows program in the prepared Wine (`python.exe`: the Windows Python)
  help                          this text

The cache is $TIDEGATE_CACHE, else ~/.cache/tidegate (Windows: %LOCALAPPDATA%\\tidegate).";

fn main() -> ExitCode {
    match run(std::env::args_os().skip(1).collect()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Vec<OsString>) -> Result<ExitCode> {
    let mut args = args.into_iter();
    let verb = args.next().unwrap_or_else(|| "help".into());
    let rest: Vec<OsString> = args.collect();
    match verb.to_str() {
        Some("up") => up::run(Arguments::parse(rest, &["--release"])?),
        Some("test") => test::run(&Arguments::parse(rest, &["--native", "--wine-only", "--oldest-python"])?)
            .map(|()| ExitCode::SUCCESS),
        Some("matrix") => matrix::run(&Arguments::parse(rest, &["--fetch"])?).map(|()| ExitCode::SUCCESS),
        Some("ci") => ci::run(&Arguments::parse(rest, &["--native"])?).map(|()| ExitCode::SUCCESS),
        Some("fuzz") => fuzz::run(&rest).map(|()| ExitCode::SUCCESS),
        Some("measure") => measure::run(rest).map(|()| ExitCode::SUCCESS),
        Some("package") => {
            let (addresses, rest): (Vec<_>, Vec<_>) =
                rest.into_iter().partition(|word| word.to_string_lossy().starts_with(URL_BASE));
            let url_base = addresses.last().map(|word| word.to_string_lossy()[URL_BASE.len()..].to_owned());
            let (named, flags): (Vec<_>, Vec<_>) =
                rest.into_iter().partition(|word| !word.to_string_lossy().starts_with('-'));
            let named: Vec<String> = named.iter().map(|name| name.to_string_lossy().into_owned()).collect();
            package::run(&Arguments::parse(flags, &["--debug"])?, &named, url_base).map(|()| ExitCode::SUCCESS)
        }
        Some("try-packages") => {
            let (named, flags): (Vec<_>, Vec<_>) =
                rest.into_iter().partition(|word| !word.to_string_lossy().starts_with('-'));
            let named: Vec<String> = named.into_iter().map(|word| word.to_string_lossy().into_owned()).collect();
            package::trial::run(&Arguments::parse(flags, &["--debug"])?, &named).map(|()| ExitCode::SUCCESS)
        }
        Some("setup-windows") => {
            Arguments::parse(rest, &[])?.no_trailing()?;
            windows::set_up().map(|()| ExitCode::SUCCESS)
        }
        Some("wine") => windows::run_by_hand(&Arguments::parse(rest, &[])?.trailing),
        // The two halves of cargo's runner for Windows test programs; not for people.
        Some("wine-run") => windows::wine::run_as_cargo_runner(&rest),
        Some("wine-inside") => windows::wine::run_inside_namespace(&rest),
        // Likewise for programs of a tree.
        Some("tree-inside") => namespace::run_inside(&rest),
        Some("help" | "--help" | "-h") => {
            println!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        _ => bail!("there is no verb {verb:?}\n\n{HELP}"),
    }
}

/// Where packages will be downloaded from.
const URL_BASE: &str = "--url-base=";

/// A verb's flags, and what follows `--`.
struct Arguments {
    flags: Vec<String>,
    trailing: Vec<OsString>,
}

impl Arguments {
    fn parse(args: Vec<OsString>, known: &[&str]) -> Result<Self> {
        let mut flags = Vec::new();
        let mut args = args.into_iter();
        for arg in args.by_ref() {
            if arg == "--" {
                break;
            }
            let flag = arg.to_str().context("an argument is not valid Unicode")?;
            if !known.contains(&flag) {
                bail!("unknown argument {flag:?} (put arguments for the program that is run after `--`)");
            }
            flags.push(flag.to_owned());
        }
        Ok(Self { flags, trailing: args.collect() })
    }

    fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|given| given == flag)
    }

    fn no_trailing(&self) -> Result<()> {
        if !self.trailing.is_empty() {
            bail!("this verb takes nothing after `--`");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_what_follows_the_dashes_are_told_apart() {
        let parsed = Arguments::parse(vec!["--native".into(), "--".into(), "--native".into()], &["--native"]).unwrap();
        assert!(parsed.has("--native"));
        assert_eq!(parsed.trailing, ["--native"]);
        assert!(Arguments::parse(vec!["--nativ".into()], &["--native"]).is_err());
    }
}
