//! Finds the interpreter of an app. Called before each start of a worker, so that a
//! virtualenv that appears later is found later; runs nothing.

use std::path::{Path, PathBuf};

use thiserror::Error;
use tidegate_site::interpreter::{self, Unusable};
use tidegate_site::{App, Python};

/// Why there is no interpreter.
#[derive(Debug, Error)]
pub enum PythonError {
    /// Neither a virtualenv nor a python on the PATH.
    #[error("found no Python: looked for {looked_for}; name one with the app's key `python`")]
    NotFound {
        /// Every place.
        looked_for: String,
    },
    /// There is one, and it cannot be used.
    #[error(transparent)]
    Unusable(#[from] Unusable),
}

/// The interpreter of `app`.
pub fn find(app: &App) -> Result<PathBuf, PythonError> {
    match &app.python {
        Python::At(path) => at(path),
        Python::Find => search(&app.directory),
    }
}

fn at(path: &Path) -> Result<PathBuf, PythonError> {
    // It was all there when the site file was read.
    if path.is_dir() {
        return Ok(interpreter::of_directory(path)?);
    }
    interpreter::examine(path)?;
    Ok(path.to_owned())
}

fn search(directory: &Path) -> Result<PathBuf, PythonError> {
    let environments = interpreter::CUSTOMARY.map(|name| directory.join(name));
    // A broken one is not passed over: the Python on the PATH would lack what the app imports.
    if let Some(found) = environments.iter().find(|environment| interpreter::is_environment(environment)) {
        return Ok(interpreter::of_directory(found)?);
    }
    let names = tidegate_host::python_names();
    let on_path = names.iter().find_map(|name| tidegate_host::find_program(name)).ok_or_else(|| {
        let mut places: Vec<_> = environments.iter().map(|environment| environment.display().to_string()).collect();
        places.extend(names.iter().map(|name| format!("{name} on the PATH")));
        PythonError::NotFound { looked_for: places.join(", ") }
    })?;
    interpreter::examine(&on_path)?;
    Ok(on_path)
}
