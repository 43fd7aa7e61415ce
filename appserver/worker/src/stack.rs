//! The Python stack of a thread, as text.

use std::sync::atomic::Ordering;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::threads::Seat;

/// The stack of the thread that holds `seat`, or why there is none.
pub(crate) fn of(py: Python<'_>, seat: &Seat) -> Result<String, String> {
    format(py, seat.ident.load(Ordering::Acquire)).map_err(|error| format!("failed to read the stack: {error}"))
}

fn format(py: Python<'_>, ident: u64) -> PyResult<String> {
    let frames = py.import("sys")?.call_method0("_current_frames")?;
    let frame = frames.cast::<PyDict>()?.get_item(ident)?;
    let Some(frame) = frame else {
        return Ok("(the thread runs no Python code)\n".to_owned());
    };
    let lines = py.import("traceback")?.call_method1("format_stack", (frame,))?;
    PyString::new(py, "").call_method1("join", (lines,))?.extract()
}
