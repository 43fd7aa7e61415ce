//! What is wrong with a site file. [`crate::load`] returns it; programs print it and exit with 78.
//! It never holds the values of an `environment_file`.

use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// One thing that is wrong, and what was expected instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file it is in: the site file, or an `environment_file`.
    pub file: PathBuf,
    /// Key path such as `hosts[0].routes[1].path`; empty if the problem is the file's as a whole.
    pub key: String,
    /// Line and column, counted from 1, where known.
    pub position: Option<(usize, usize)>,
    /// The value (where there is one) and what was expected.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some((line, column)) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Everything that is wrong with a site file: at least one problem.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", lines(.problems))]
pub struct ConfigError {
    problems: Vec<Problem>,
}

impl ConfigError {
    /// A single problem of a whole file.
    pub(crate) fn of_file(file: &Path, message: impl Into<String>) -> Self {
        let problem = Problem { file: file.to_owned(), key: String::new(), position: None, message: message.into() };
        Self { problems: vec![problem] }
    }

    pub(crate) fn new(problems: Vec<Problem>) -> Self {
        debug_assert!(!problems.is_empty(), "an error has at least one problem");
        Self { problems }
    }

    /// The problems, in the file's order as far as possible.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

/// What was found wrong so far, while the file is read.
pub(crate) struct Problems {
    file: PathBuf,
    found: RefCell<Vec<Problem>>,
}

impl Problems {
    pub(crate) fn new(file: &Path) -> Self {
        Self { file: file.to_owned(), found: RefCell::default() }
    }

    pub(crate) fn add(&self, key: &str, message: impl Into<String>) {
        self.push(Problem { file: self.file.clone(), key: key.to_owned(), position: None, message: message.into() });
    }

    pub(crate) fn push(&self, problem: Problem) {
        self.found.borrow_mut().push(problem);
    }

    pub(crate) fn into_inner(self) -> Vec<Problem> {
        self.found.into_inner()
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
