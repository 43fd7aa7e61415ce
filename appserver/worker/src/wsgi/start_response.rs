//! `start_response`, and the `write` that it returns. Both may be called from any thread.

use std::sync::Arc;

use parking_lot::Mutex;
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use super::head::Head;
use super::responder::{Progress, Responder, Sent, Step};
use super::validate;
use crate::io::ReplyTo;
use crate::pipe::Offer;
use crate::request::Request;
use crate::shared::Shared;

/// The callable that the app is given.
#[pyclass(frozen, module = "tidegate_worker")]
pub(crate) struct StartResponse {
    pub(super) responder: Arc<Mutex<Responder>>,
}

/// The callable that it returns.
#[pyclass(frozen, module = "tidegate_worker")]
struct Write {
    responder: Arc<Mutex<Responder>>,
}

impl StartResponse {
    pub(super) fn new(shared: &'static Shared, request: Arc<Request>, reply: ReplyTo) -> Self {
        Self { responder: Arc::new(Mutex::new(Responder::new(shared, request, reply))) }
    }
}

#[pymethods]
impl StartResponse {
    #[pyo3(signature = (status, headers, exc_info = None))]
    fn __call__(
        &self,
        py: Python<'_>,
        status: &Bound<'_, PyAny>,
        headers: &Bound<'_, PyAny>,
        exc_info: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Write> {
        if let Some(exc_info) = exc_info
            && self.responder.lock().is_sent()
        {
            // PEP 3333: too late to replace the response, so the app's error goes on.
            return Err(raise(py, exc_info)?);
        }
        let head = Head::parse(status, headers)?;
        let validates = {
            let mut responder = self.responder.lock();
            responder.start(head, exc_info.is_some())?;
            responder.validates()
        };
        if validates {
            for violation in validate::head(status, headers, exc_info)? {
                self.responder.lock().violation(&violation);
            }
        }
        Ok(Write { responder: Arc::clone(&self.responder) })
    }
}

#[pymethods]
impl Write {
    fn __call__(&self, py: Python<'_>, data: &Bound<'_, PyBytes>) -> PyResult<()> {
        self.validate();
        match push(py, &self.responder, data.as_bytes())? {
            Sent::Stop if self.responder.lock().is_cut() => Err(PyOSError::new_err("the client went away")),
            _ => Ok(()),
        }
    }
}

impl Write {
    fn validate(&self) {
        let responder = self.responder.lock();
        match responder.progress {
            Progress::Called => {}
            Progress::Iterated => responder.violation(validate::WRITE_WHILE_ITERATED),
            Progress::Ended => responder.violation(validate::WRITE_AFTER_END),
        }
    }
}

/// Sends a chunk, waiting for room if need be.
pub(super) fn push(py: Python<'_>, responder: &Mutex<Responder>, chunk: &[u8]) -> PyResult<Sent> {
    let (step, shared) = {
        let mut responder = responder.lock();
        (responder.send(chunk)?, responder.shared())
    };
    let (pipe, mut chunk) = match step {
        Step::Taken => return Ok(Sent::Taken),
        Step::Stop => return Ok(Sent::Stop),
        Step::Wait(pipe, chunk) => (pipe, chunk),
    };
    loop {
        py.detach(|| pipe.wait_for_room());
        match pipe.offer(chunk, &shared.outbox) {
            Offer::Taken => return Ok(Sent::Taken),
            Offer::Full(again) => chunk = again,
            Offer::Gone => return Ok(Sent::Stop),
        }
    }
}

/// The exception of an `exc_info` tuple.
fn raise(py: Python<'_>, exc_info: &Bound<'_, PyAny>) -> PyResult<PyErr> {
    let tuple = exc_info.cast::<PyTuple>()?;
    let error = PyErr::from_value(tuple.get_item(1)?);
    if let Ok(traceback) = tuple.get_item(2)?.cast_into() {
        error.set_traceback(py, Some(traceback));
    }
    Ok(error)
}
