//! How a command fails: exit code, what is wrong, and the operator's next step. `main` shows it.

use std::fmt::Write as _;

use tidegate_site::ConfigError;

use crate::style::Style;

/// A command's failure. Every failure ends with a next step.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    exit: u8,
    message: String,
    next: String,
}

/// Exit code of everything that goes wrong at run time.
const FAILED: u8 = 1;
/// Exit code of a site file that is wrong (`EX_CONFIG` of sysexits.h).
pub(crate) const BAD_CONFIGURATION: u8 = 78;

impl Failure {
    /// A failure at run time.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { exit: FAILED, message: message.into(), next: "run `tidegate check`, which looks at everything".into() }
    }

    /// The same with another next step.
    pub(crate) fn next(self, next: impl Into<String>) -> Self {
        Self { next: next.into(), ..self }
    }

    /// The same with another exit code.
    pub(crate) fn exit_with(self, exit: u8) -> Self {
        Self { exit, ..self }
    }

    /// Several at once, as one: the first one's next step comes first. None is no failure.
    pub(crate) fn all(failures: Vec<Self>) -> Result<(), Self> {
        failures
            .into_iter()
            .reduce(|first, other| {
                let next =
                    if first.next == other.next { first.next } else { format!("{}; {}", first.next, other.next) };
                Self { exit: first.exit, message: format!("{}\n{}", first.message, other.message), next }
            })
            .map_or(Ok(()), Err)
    }

    /// A site file that is wrong, or is not there.
    pub(crate) fn configuration(file: &std::path::Path, error: &ConfigError) -> Self {
        let next = if file.exists() {
            "correct the file, then run `tidegate check`".to_owned()
        } else {
            let place = match std::env::current_dir() {
                Ok(directory) if file.is_relative() => format!("it was looked for in {}: ", directory.display()),
                _ => String::new(),
            };
            format!("{place}run `tidegate init` in the application's directory, or name the file with --config")
        };
        Self { exit: BAD_CONFIGURATION, message: error.to_string(), next }
    }

    /// What is wrong.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it.
    pub(crate) fn next_step(&self) -> &str {
        &self.next
    }

    pub(crate) fn exit(&self) -> u8 {
        self.exit
    }

    /// What is written to standard error.
    pub(crate) fn show(&self, style: Style) -> String {
        let mut out = String::new();
        for (index, line) in self.message.lines().enumerate() {
            // Each line of a wrong site file is a problem of its own; elsewhere they tell of one, with a
            // traceback, say. Writing to a String cannot fail.
            let _ = if index == 0 || self.exit == BAD_CONFIGURATION {
                writeln!(out, "{} {line}", style.bad("error:"))
            } else {
                writeln!(out, "  {line}")
            };
        }
        let _ = writeln!(out, "{} {}", style.quiet("next: "), self.next);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_marked_and_the_next_step_comes_last() {
        let failure = Failure::new("one\ntwo").next("do this");
        assert_eq!(failure.show(Style::plain()), "error: one\n  two\nnext:  do this\n");
        let failure = failure.exit_with(BAD_CONFIGURATION);
        assert_eq!(failure.show(Style::plain()), "error: one\nerror: two\nnext:  do this\n");
    }

    #[test]
    fn several_failures_are_told_as_one() {
        assert_eq!(Failure::all(Vec::new()), Ok(()));
        let [one, two] = ["one", "two"].map(|text| Failure::new(text).next(format!("do {text}")));
        let all = Failure::all(vec![one, two]).unwrap_err();
        assert_eq!((all.message(), all.next_step()), ("one\ntwo", "do one; do two"));
    }

    #[test]
    fn a_missing_site_file_leads_to_init() {
        let file = std::path::Path::new("no-such-directory/tidegate.yaml");
        let failure = Failure::configuration(file, &tidegate_site::load(file).unwrap_err());
        assert_eq!(failure.exit(), BAD_CONFIGURATION);
        assert!(failure.show(Style::plain()).contains("tidegate init"));
    }
}
