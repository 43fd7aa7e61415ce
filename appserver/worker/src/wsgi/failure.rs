//! What the log says about an exception that the app let out.

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::errors::write_stderr;
use super::timeout::{ClientDisconnected, RequestTimeout};
use crate::log;
use crate::request::Request;

/// Reports an exception that ended a request.
pub(super) fn report(py: Python<'_>, request: &Request, error: &PyErr) {
    // The supervisor has the record of a timeout, with the stack; and an app that fails because
    // nobody listens any more has done nothing wrong.
    let expected = error.is_instance_of::<RequestTimeout>(py)
        || error.is_instance_of::<ClientDisconnected>(py)
        || error.is_instance_of::<PyOSError>(py);
    if request.is_cut() && expected {
        return;
    }
    let text = match traceback(py, error) {
        Ok(text) => text,
        Err(_) => format!("{error}\n"),
    };
    let report = format!("tidegate: the app failed in {}\n{text}", request.describe());
    if let Err(error) = write_stderr(py, &report) {
        log::line(&format!("failed to write to sys.stderr ({error}): {report}"));
    }
}

/// The traceback as Python prints it.
pub(crate) fn traceback(py: Python<'_>, error: &PyErr) -> PyResult<String> {
    let parts = (error.get_type(py), error.value(py), error.traceback(py));
    let lines = py.import("traceback")?.call_method1("format_exception", parts)?;
    let text = PyString::new(py, "").call_method1("join", (lines,))?;
    Ok(text.cast::<PyString>()?.to_string_lossy().into_owned())
}

/// Type and text of an exception, in one line.
pub(crate) fn summary(py: Python<'_>, error: &PyErr) -> String {
    let text = error.value(py).str().map(|text| text.to_string_lossy().into_owned()).unwrap_or_default();
    let kind = error.get_type(py).name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let first = text.lines().next().unwrap_or_default();
    if first.is_empty() { kind } else { format!("{kind}: {first}") }
}
