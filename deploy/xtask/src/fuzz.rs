//! `cargo xtask fuzz [TARGET]`: builds the fuzz targets of `tests/fuzz` with libFuzzer's instruments and AddressSanitizer and
//! runs them, one after the other. What they find new stays in the cache; with `--keep` the corpus in the
//! repository becomes ours and the smallest beside it that reaches as much. A crash is an error, and its input is named.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::{cache, process, workspace};

/// libFuzzer runs on this one without further ado.
const SYSTEM: &str = "x86_64-unknown-linux-gnu";
/// For each target, unless told.
const SECONDS: u32 = 60;
/// Longer ones are found again soon, and would be most of what the repository holds.
const SHORT: u64 = 1024;
/// What `cargo fuzz` sets: coverage for libFuzzer, and the sanitizer, whose runtime every tool chain has.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Cllvm-args=-sanitizer-coverage-stack-depth \
    -Zsanitizer=address -Ccodegen-units=1";

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
struct Wish {
    target: Option<String>,
    seconds: u32,
    keep: bool,
    only_build: bool,
}

impl Wish {
    fn parse(args: &[OsString]) -> Result<Self> {
        let mut wish = Self { target: None, seconds: SECONDS, keep: false, only_build: false };
        let mut args = args.iter().map(|arg| arg.to_str().context("an argument is not valid Unicode"));
        while let Some(arg) = args.next().transpose()? {
            match arg {
                "--seconds" => {
                    let seconds = args.next().transpose()?.context("--seconds needs a number")?;
                    wish.seconds = seconds.parse().with_context(|| format!("--seconds {seconds}: not a number"))?;
                }
                "--keep" => wish.keep = true,
                "--build" => wish.only_build = true,
                target if !target.starts_with('-') && wish.target.is_none() => wish.target = Some(target.to_owned()),
                other => bail!("unknown argument {other:?}"),
            }
        }
        Ok(wish)
    }
}

/// Builds and runs.
pub(crate) fn run(args: &[OsString]) -> Result<()> {
    let wish = Wish::parse(args)?;
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        bail!("the fuzz targets are built for {SYSTEM} only");
    }
    let directory = workspace::root()?.join("tests/fuzz");
    let known = targets(&directory)?;
    let chosen = match &wish.target {
        None => known,
        Some(target) if known.contains(target) => vec![target.clone()],
        Some(target) => bail!("there is no fuzz target {target:?}; there are: {}", known.join(", ")),
    };
    let programs = build(&directory)?;
    if wish.only_build {
        return Ok(());
    }
    for target in chosen {
        let place = Place {
            program: programs.join(&target),
            found: cache::directory()?.join("fuzz").join(&target),
            corpus: directory.join("corpus").join(&target),
            dictionary: directory.join("dictionaries").join(format!("{target}.dict")),
        };
        println!("{target}: {} s", wish.seconds);
        place.fuzz(wish.seconds)?;
        if wish.keep {
            place.keep()?;
        }
    }
    Ok(())
}

/// The targets' names, in order.
fn targets(directory: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory.join("targets"))? {
        if let Some(name) = entry?.file_name().to_str().and_then(|name| name.strip_suffix(".rs")) {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn build(directory: &Path) -> Result<PathBuf> {
    // The packages that are shipped; cargo adds libFuzzer to them and takes away what is not needed.
    std::fs::copy(workspace::root()?.join("Cargo.lock"), directory.join("Cargo.lock"))?;
    let output = cache::directory()?.join("target-fuzz");
    let mut cargo = workspace::cargo()?;
    cargo
        .args(["build", "--release", "--target", SYSTEM, "--manifest-path"])
        .arg(directory.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&output)
        // The instruments are options that only an unstable compiler takes; the code is compiled as always.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", FLAGS);
    process::run(&mut cargo)?;
    Ok(output.join(SYSTEM).join("release"))
}

/// Where one target and its inputs are.
struct Place {
    program: PathBuf,
    /// Inputs found on this machine.
    found: PathBuf,
    /// Inputs in the repository.
    corpus: PathBuf,
    /// Words that inputs are made of.
    dictionary: PathBuf,
}

impl Place {
    fn fuzz(&self, seconds: u32) -> Result<()> {
        std::fs::create_dir_all(&self.found)?;
        let mut artifacts = OsString::from("-artifact_prefix=");
        artifacts.push(self.found.with_extension("crash-"));
        let mut fuzzer = Command::new(&self.program);
        fuzzer.arg(format!("-max_total_time={seconds}")).args(["-timeout=10", "-rss_limit_mb=2048", "-max_len=8192"]);
        fuzzer.args(["-print_final_stats=1", "-verbosity=0"]).arg(artifacts);
        if self.dictionary.is_file() {
            let mut dictionary = OsString::from("-dict=");
            dictionary.push(&self.dictionary);
            fuzzer.arg(dictionary);
        }
        fuzzer.arg(&self.found);
        if self.corpus.is_dir() {
            fuzzer.arg(&self.corpus);
        }
        process::run(&mut fuzzer)
    }

    /// Puts the fewest inputs into the repository that, with those that have names of ours, reach every place that short ones
    /// have reached. How often a place was reached does not count: that would be ten times as many.
    fn keep(&self) -> Result<()> {
        let (short, smallest) = (self.found.with_extension("short"), self.found.with_extension("smallest"));
        for directory in [&short, &smallest] {
            cache::remove(directory)?;
            std::fs::create_dir_all(directory)?;
        }
        std::fs::create_dir_all(&self.corpus)?;
        copy(&self.corpus, &smallest, |name, _| !is_found(name))?;
        for from in [&self.found, &self.corpus] {
            copy(from, &short, |name, length| is_found(name) && length <= SHORT)?;
        }
        let mut merge = Command::new(&self.program);
        merge.args(["-set_cover_merge=1", "-use_counters=0", "-max_len=8192", "-verbosity=0"]);
        process::run(merge.arg(&smallest).arg(&short))?;
        cache::remove(&self.corpus)?;
        std::fs::create_dir_all(&self.corpus)?;
        copy(&smallest, &self.corpus, |_, _| true)
    }
}

/// The fuzzer names its inputs by their SHA-1.
fn is_found(name: &str) -> bool {
    name.len() == 40 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn copy(from: &Path, to: &Path, wanted: impl Fn(&str, u64) -> bool) -> Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let length = entry.metadata()?.len();
        if entry.file_name().to_str().is_some_and(|name| wanted(name, length)) {
            std::fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_read() {
        let parse = |args: &[&str]| Wish::parse(&args.iter().map(OsString::from).collect::<Vec<_>>());
        let wish = parse(&["range", "--seconds", "5", "--keep"]).unwrap();
        assert_eq!(wish, Wish { target: Some("range".into()), seconds: 5, keep: true, only_build: false });
        assert_eq!(parse(&[]).unwrap().seconds, SECONDS);
        for wrong in [&["--seconds"][..], &["--seconds", "x"], &["--what"], &["range", "path"]] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn every_target_is_declared() {
        let directory = workspace::root().unwrap().join("tests/fuzz");
        let manifest = std::fs::read_to_string(directory.join("Cargo.toml")).unwrap();
        for target in targets(&directory).unwrap() {
            assert!(manifest.contains(&format!("path = \"targets/{target}.rs\"")), "{target}");
        }
    }
}
