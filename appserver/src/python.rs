//! Finds the interpreter of an app. Called before each start of a worker, so that a
//! virtualenv that appears later is found later; runs nothing.

use std::path::{Path, PathBuf};

use thiserror::Error;
use tidegate_site::{App, Python};

/// Virtualenvs looked for in an app's directory, in this order.
const VIRTUALENVS: [&str; 3] = [".venv", "venv", "env"];

/// Why there is no interpreter.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PythonError {
    /// Neither a virtualenv nor a python on the PATH.
    #[error("found no Python: looked for {looked_for}; name one with the app's key `python`")]
    NotFound {
        /// Every place.
        looked_for: String,
    },
    /// The configured path does not exist.
    #[error("the configured Python {} does not exist", .0.display())]
    Missing(PathBuf),
    /// The configured directory is no virtualenv.
    #[error("{} is no virtualenv: there is no {}", .directory.display(), .interpreter.display())]
    NoVirtualenv {
        /// The directory.
        directory: PathBuf,
        /// What it lacks.
        interpreter: PathBuf,
    },
}

/// The interpreter of `app`.
pub fn find(app: &App) -> Result<PathBuf, PythonError> {
    match &app.python {
        Python::At(path) => at(path),
        Python::Find => search(&app.directory),
    }
}

fn at(path: &Path) -> Result<PathBuf, PythonError> {
    if path.is_dir() {
        let interpreter = tidegate_host::venv_python(path);
        if interpreter.is_file() {
            return Ok(interpreter);
        }
        return Err(PythonError::NoVirtualenv { directory: path.to_owned(), interpreter });
    }
    if path.is_file() { Ok(path.to_owned()) } else { Err(PythonError::Missing(path.to_owned())) }
}

fn search(directory: &Path) -> Result<PathBuf, PythonError> {
    let candidates = VIRTUALENVS.map(|name| tidegate_host::venv_python(&directory.join(name)));
    if let Some(found) = candidates.iter().find(|candidate| candidate.is_file()) {
        return Ok(found.clone());
    }
    let names = tidegate_host::python_names();
    names.iter().find_map(|name| tidegate_host::find_program(name)).ok_or_else(|| {
        let mut places: Vec<_> = candidates.iter().map(|candidate| candidate.display().to_string()).collect();
        places.extend(names.iter().map(|name| format!("{name} on the PATH")));
        PythonError::NotFound { looked_for: places.join(", ") }
    })
}
