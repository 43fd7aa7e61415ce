//! From a bare interpreter to the app: what happens in the main thread before anything is served.

use std::path::Path;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyList;
use tidegate_contract::{LAUNCH_VARIABLE, Launch, PROTOCOL};

/// Reads what the supervisor handed over, and takes it out of the environment.
pub(crate) fn launch(py: Python<'_>) -> PyResult<Launch> {
    let environ = py.import("os")?.getattr("environ")?;
    let text: String = environ
        .call_method1("pop", (LAUNCH_VARIABLE,))
        .map_err(|_| {
            PyValueError::new_err(format!("{LAUNCH_VARIABLE} is not set: a worker is started by tidegate-appserver"))
        })?
        .extract()?;
    let launch: Launch = serde_json::from_str(&text)
        .map_err(|error| PyValueError::new_err(format!("{LAUNCH_VARIABLE} is malformed: {error}")))?;
    if launch.protocol != PROTOCOL {
        return Err(PyValueError::new_err(format!(
            "the app server speaks protocol {}, this worker {PROTOCOL}: they must come from one release",
            launch.protocol
        )));
    }
    Ok(launch)
}

/// Makes the process look like a fresh interpreter started in the app's directory.
pub(crate) fn prepare(py: Python<'_>, directory: &Path) -> PyResult<()> {
    let sys = py.import("sys")?;
    sys.setattr("argv", [""])?;
    py.import("os")?.call_method1("chdir", (directory,))?;
    let path = sys.getattr("path")?;
    let path = path.cast::<PyList>()?;
    // `-c` puts an empty entry first, which stands for whatever directory the app changes to.
    if path.get_item(0).is_ok_and(|first| first.extract::<String>().is_ok_and(|first| first.is_empty())) {
        path.del_item(0)?;
    }
    path.insert(0, directory.to_string_lossy())?;
    // Python takes the thread that first imports this for the main one: `threading.main_thread()` would name a thread of
    // the pool, and the exit would wait for that to end.
    py.import("threading")?;
    // Ctrl-C in a console reaches every process: the supervisor alone decides what it means.
    let signal = py.import("signal")?;
    signal.call_method1("signal", (signal.getattr("SIGINT")?, signal.getattr("SIG_IGN")?))?;
    Ok(())
}

/// Imports the app: `module:callable`, the callable dotted, or a factory with `()` at its end.
pub(crate) fn import<'py>(py: Python<'py>, target: &str) -> PyResult<Bound<'py, PyAny>> {
    let (module, path) = target.split_once(':').unwrap_or((target, "application"));
    let (path, factory) = match path.strip_suffix("()") {
        Some(path) => (path, true),
        None => (path, false),
    };
    let mut object = py.import(module)?.into_any();
    for name in path.split('.') {
        object = object.getattr(name)?;
    }
    if factory {
        object = object.call0()?;
    }
    if !object.is_callable() {
        let kind = object.get_type().name()?;
        return Err(PyTypeError::new_err(format!("{target} is not callable: {kind}")));
    }
    Ok(object)
}
