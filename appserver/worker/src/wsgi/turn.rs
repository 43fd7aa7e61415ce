//! A fresh context for each request: what the app sets in a `contextvars.ContextVar` during one
//! request is not seen by the next on the same thread.

use std::sync::Arc;

use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::App;
use super::start_response::StartResponse;
use crate::request::Request;

/// What `Context.run` calls; one for each thread of the pool.
#[pyclass(frozen, module = "tidegate_worker")]
pub(super) struct Turn {
    app: &'static App,
    context: Py<PyAny>,
    run: Py<PyString>,
    next: Mutex<Option<(Arc<Request>, StartResponse)>>,
}

impl Turn {
    pub(super) fn new<'py>(py: Python<'py>, app: &'static App) -> PyResult<Bound<'py, Self>> {
        let context = py.import("contextvars")?.getattr("Context")?.unbind();
        let run = PyString::intern(py, "run").unbind();
        Bound::new(py, Self { app, context, run, next: Mutex::new(None) })
    }

    /// Calls the app for a request, within a new context.
    pub(super) fn run(&self, turn: &Bound<'_, Self>, request: &Arc<Request>, start: StartResponse) -> PyResult<()> {
        *self.next.lock() = Some((Arc::clone(request), start));
        let context = self.context.bind(turn.py()).call0()?;
        context.call_method1(self.run.bind(turn.py()), (turn,)).map(drop)
    }
}

#[pymethods]
impl Turn {
    fn __call__(&self, py: Python<'_>) -> PyResult<()> {
        let next = self.next.lock().take();
        match next {
            Some((request, start)) => self.app.respond(py, &request, &Bound::new(py, start)?),
            None => Ok(()),
        }
    }
}
