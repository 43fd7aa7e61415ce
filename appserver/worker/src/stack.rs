//! The Python stack of a thread: as text, and the line that it is in.

use std::path::Path;
use std::sync::atomic::Ordering;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use tidegate_contract::Frame;

use crate::threads::Seat;

/// Deeper recursion is not searched for a line of the app.
const DEPTH: usize = 1000;
const NO_FRAME: &str = "(the thread runs no Python code)\n";

/// The stack of the thread that holds `seat`, or why there is none.
pub(crate) fn of(py: Python<'_>, seat: &Seat) -> Result<String, String> {
    let text = || match Frames::now(py)?.of(seat)? {
        Some(frame) => text(&frame),
        None => Ok(NO_FRAME.to_owned()),
    };
    text().map_err(|error: PyErr| format!("failed to read the stack: {error}"))
}

/// Where every thread is, at one moment.
pub(crate) struct Frames<'py>(Bound<'py, PyDict>);

impl<'py> Frames<'py> {
    pub(crate) fn now(py: Python<'py>) -> PyResult<Self> {
        Ok(Self(py.import("sys")?.call_method0("_current_frames")?.cast_into()?))
    }

    /// The innermost frame of the thread that holds `seat`; none while it runs no Python code.
    pub(crate) fn of(&self, seat: &Seat) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.0.get_item(seat.ident.load(Ordering::Acquire))
    }
}

/// The stack that ends in `frame`, as Python prints it.
pub(crate) fn text(frame: &Bound<'_, PyAny>) -> PyResult<String> {
    let py = frame.py();
    let lines = py.import("traceback")?.call_method1("format_stack", (frame,))?;
    let text = PyString::new(py, "").call_method1("join", (lines,))?;
    // A name may hold what is no Unicode text.
    Ok(text.cast::<PyString>()?.to_string_lossy().into_owned())
}

/// The line that `frame` is in, and, if that is in a library, the innermost line in the app's directory.
pub(crate) fn lines(frame: &Bound<'_, PyAny>, directory: &Path) -> PyResult<(Frame, Option<Frame>)> {
    let directory = directory.to_string_lossy();
    let innermost = line(frame)?;
    if is_below(&innermost.file, &directory) {
        return Ok((innermost, None));
    }
    let mut outer = frame.getattr("f_back")?;
    for _ in 0..DEPTH {
        if outer.is_none() {
            break;
        }
        if is_below(&file(&outer)?, &directory) {
            return Ok((innermost, Some(line(&outer)?)));
        }
        outer = outer.getattr("f_back")?;
    }
    Ok((innermost, None))
}

fn line(frame: &Bound<'_, PyAny>) -> PyResult<Frame> {
    let code = frame.getattr("f_code")?;
    // With the class, from Python 3.11 on.
    let function = code.getattr("co_qualname").or_else(|_| code.getattr("co_name"))?;
    Ok(Frame {
        file: file(frame)?,
        // None while the frame is being set up.
        line: frame.getattr("f_lineno")?.extract().unwrap_or(0),
        function: function.cast::<PyString>()?.to_string_lossy().into_owned(),
    })
}

fn file(frame: &Bound<'_, PyAny>) -> PyResult<String> {
    let file = frame.getattr("f_code")?.getattr("co_filename")?;
    Ok(file.cast::<PyString>()?.to_string_lossy().into_owned())
}

/// Whether a file is the app's own: below its directory, but not in a virtualenv there.
fn is_below(file: &str, directory: &str) -> bool {
    let inside = file.strip_prefix(directory).is_some_and(|rest| rest.starts_with(['/', '\\']));
    inside && !file.contains("site-packages") && !file.contains("dist-packages")
}
