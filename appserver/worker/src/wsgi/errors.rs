//! `wsgi.errors`: text that ends up on `sys.stderr` in whole lines, so that the lines of
//! requests that run at the same time do not mix.

use std::collections::HashMap;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ThreadId};

use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// The stream. One serves every request; each thread has its own unfinished line.
#[pyclass(frozen, module = "tidegate_worker")]
#[derive(Default)]
pub(crate) struct Errors {
    unfinished: Mutex<HashMap<ThreadId, String>>,
    /// Whether there is any unfinished line, to keep the end of a request cheap.
    any: AtomicBool,
}

#[pymethods]
impl Errors {
    fn write(&self, py: Python<'_>, text: &Bound<'_, PyString>) -> PyResult<usize> {
        let length = text.len()?;
        let text = text.to_string_lossy();
        let lines = {
            let mut unfinished = self.unfinished.lock();
            let line = unfinished.entry(thread::current().id()).or_default();
            line.push_str(&text);
            match line.rfind('\n') {
                Some(end) => {
                    let rest = line.split_off(end + 1);
                    mem::replace(line, rest)
                }
                None => String::new(),
            }
        };
        self.any.store(true, Ordering::Release);
        if !lines.is_empty() {
            write_stderr(py, &lines)?;
        }
        Ok(length)
    }

    fn writelines(&self, py: Python<'_>, lines: &Bound<'_, PyAny>) -> PyResult<()> {
        for line in lines.try_iter()? {
            self.write(py, line?.cast::<PyString>()?)?;
        }
        Ok(())
    }

    /// Whole lines are on their way already; an unfinished one waits for its end.
    #[expect(clippy::unused_self, reason = "a method of the stream")]
    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        flush_stderr(py)
    }
}

impl Errors {
    /// Writes the line that this thread's request left unfinished.
    pub(super) fn end_of_request(&self, py: Python<'_>) {
        if !self.any.load(Ordering::Acquire) {
            return;
        }
        let mut line = {
            let mut unfinished = self.unfinished.lock();
            let line = unfinished.remove(&thread::current().id());
            self.any.store(!unfinished.is_empty(), Ordering::Release);
            line.unwrap_or_default()
        };
        if !line.is_empty() {
            line.push('\n');
            // The app's own stream is what failed; there is no other for its text.
            let _ = write_stderr(py, &line);
        }
    }
}

/// Writes text to `sys.stderr`, if there is one.
pub(super) fn write_stderr(py: Python<'_>, text: &str) -> PyResult<()> {
    let stderr = py.import("sys")?.getattr("stderr")?;
    if !stderr.is_none() {
        stderr.call_method1("write", (text,))?;
        stderr.call_method0("flush")?;
    }
    Ok(())
}

fn flush_stderr(py: Python<'_>) -> PyResult<()> {
    let stderr = py.import("sys")?.getattr("stderr")?;
    if !stderr.is_none() {
        stderr.call_method0("flush")?;
    }
    Ok(())
}
