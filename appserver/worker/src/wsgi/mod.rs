//! The WSGI side (PEP 3333): runs on the pool's threads, attached to Python. It takes requests,
//! calls the app, and gives the response to whom the request names (`ReplyTo`); it never waits for a socket,
//! and it detaches before every wait.

mod environ;
mod errors;
mod failure;
mod file_wrapper;
mod head;
mod input;
mod names;
mod responder;
mod start_response;
mod text;
pub(crate) mod timeout;
mod turn;
mod validate;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyIterator, PyList, PyString, PyTuple};

use self::errors::Errors;
pub(crate) use self::failure::{summary, traceback};
pub(crate) use self::file_wrapper::FileWrapper;
use self::input::Input;
use self::names::Names;
use self::responder::{Progress, Sent};
use self::start_response::{StartResponse, push};
use self::turn::Turn;
pub(crate) use self::validate::Violations;
use crate::log;
use crate::request::{Job, Request};
use crate::shared::Shared;
use crate::threads::{After, Seat};

/// The app, and what every request to it has in common.
pub(crate) struct App {
    shared: &'static Shared,
    callable: Py<PyAny>,
    names: Names,
    /// Copied for each request. It holds every key that every request has, so that the copies
    /// have room for a request's headers from the start.
    template: Py<PyDict>,
    errors: Py<Errors>,
}

impl App {
    pub(crate) fn new(py: Python<'_>, shared: &'static Shared, callable: Py<PyAny>) -> PyResult<Self> {
        let names = Names::new(py)?;
        let errors = Py::new(py, Errors::default())?;
        let template = environ::template(py, shared, &names, &errors)?.unbind();
        Ok(Self { shared, callable, names, template, errors })
    }

    /// A pool thread's life. Its Python thread state lasts from here to the end, because
    /// `threading.local` values belong to it: database connections live there.
    pub(crate) fn serve(&'static self, seat: &Arc<Seat>) {
        Python::attach(|py| {
            let turn = match introduce(py, seat).and_then(|()| Turn::new(py, self)) {
                Ok(turn) => turn,
                Err(error) => return self.shared.pool.abandon(seat, &error.to_string()),
            };
            let mut after = After::Wake;
            loop {
                if let Some(job) = self.shared.pool.take(seat, after) {
                    self.run(py, &turn, seat, job);
                    after = After::Request;
                } else if py.detach(|| self.shared.pool.wait(seat)) {
                    after = After::Wake;
                } else {
                    break;
                }
            }
            if let Err(error) = farewell(py) {
                log::line(&format!("failed to end thread {}: {error}", seat.number));
            }
        });
    }

    /// Runs one request to its end, whatever the app does.
    fn run(&self, py: Python<'_>, turn: &Bound<'_, Turn>, seat: &Arc<Seat>, job: Job) {
        let Job { request, reply } = job;
        // In this order: a timeout at the same moment then sees the seat, or the thread sees the timeout.
        request.take_seat(seat);
        if request.is_cut() {
            return request.back();
        }
        *seat.running.lock() = Some(Arc::clone(&request));
        let start = StartResponse::new(self.shared, Arc::clone(&request), reply);
        let responder = Arc::clone(&start.responder);
        let handled = catch_unwind(AssertUnwindSafe(|| {
            turn.get().run(turn, &request, start)?;
            responder.lock().finish()
        }));
        match handled {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                let shown = self.shared.launch.development.then(|| failure::traceback(py, &error).ok()).flatten();
                responder.lock().fail(shown);
                failure::report(py, &request, &error);
            }
            Err(_) => {
                responder.lock().fail(None);
                log::line(&format!("panicked in {}", request.describe()));
            }
        }
        self.errors.get().end_of_request(py);
        let mut running = seat.running.lock();
        *running = None;
        if request.is_interrupted() {
            // It may not have been raised yet, and must not hit the next request.
            timeout::take_back(py, seat);
        }
        drop(running);
        request.back();
    }

    /// Calls the app and sends what it returns. What is left to the caller is the end, which
    /// goes out only when the app has been left.
    fn respond(&self, py: Python<'_>, request: &Arc<Request>, start: &Bound<'_, StartResponse>) -> PyResult<()> {
        let input = Input::of(py, self.shared, request)?;
        let environ = environ::build(py, self, request, input)?;
        let iterable = self.callable.bind(py).call1((environ, start))?;
        if let Ok(list) = iterable.cast_exact::<PyList>() {
            return send_whole(start, list.len(), |place| list.get_item(place));
        }
        if let Ok(tuple) = iterable.cast_exact::<PyTuple>() {
            return send_whole(start, tuple.len(), |place| tuple.get_item(place));
        }
        let sent = send_each(py, &iterable, start);
        if let Err(error) = close(py, &iterable, &self.names) {
            // The response itself is not in question.
            failure::report(py, request, &error);
        }
        sent
    }
}

/// Sends a list or tuple: all its chunks are there already, so that the whole response can go in
/// one piece.
fn send_whole<'py>(
    start: &Bound<'py, StartResponse>,
    count: usize,
    item: impl Fn(usize) -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<()> {
    let responder = &start.get().responder;
    if count == 1 && !responder.lock().is_streaming() {
        let chunk = item(0)?;
        let chunk = bytes_of(&chunk, start)?;
        return responder.lock().whole(chunk.as_bytes().to_vec());
    }
    let mut body = Vec::new();
    for place in 0..count {
        body.extend_from_slice(bytes_of(&item(place)?, start)?.as_bytes());
    }
    if responder.lock().is_streaming() {
        // The app has used write() as well.
        push(start.py(), responder, &body)?;
        return Ok(());
    }
    responder.lock().whole(body)
}

/// Sends each chunk before the next is asked for.
fn send_each(py: Python<'_>, iterable: &Bound<'_, PyAny>, start: &Bound<'_, StartResponse>) -> PyResult<()> {
    let responder = &start.get().responder;
    let validates = {
        let mut responder = responder.lock();
        responder.progress = Progress::Iterated;
        responder.validates()
    };
    let mut items = Items::of(py, iterable)?;
    while let Some(item) = items.next(py)? {
        if validates {
            let responder = responder.lock();
            if responder.is_unstarted() {
                responder.violation(validate::NOT_STARTED);
            }
        }
        match push(py, responder, bytes_of(&item, start)?.as_bytes())? {
            Sent::Taken => {}
            Sent::Stop => break,
        }
    }
    Ok(())
}

/// What an app has returned, on its way out.
enum Items<'a, 'py> {
    Iterated(Bound<'py, PyIterator>),
    /// Ours, read in blocks of this size.
    File(&'a FileWrapper, usize),
}

impl<'a, 'py> Items<'a, 'py> {
    fn of(py: Python<'py>, iterable: &'a Bound<'py, PyAny>) -> PyResult<Self> {
        Ok(match iterable.cast_exact::<FileWrapper>() {
            Ok(wrapper) => Self::File(wrapper.get(), wrapper.get().block(py)),
            Err(_) => Self::Iterated(iterable.try_iter()?),
        })
    }

    fn next(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self {
            Self::Iterated(iterator) => iterator.next().transpose(),
            Self::File(wrapper, block) => wrapper.read(py, *block),
        }
    }
}

/// PEP 3333: `close` is called once, however the response ended.
fn close(py: Python<'_>, iterable: &Bound<'_, PyAny>, names: &Names) -> PyResult<()> {
    match iterable.getattr_opt(names.close.bind(py))? {
        Some(close) => close.call0().map(drop),
        None => Ok(()),
    }
}

fn bytes_of<'a, 'py>(
    chunk: &'a Bound<'py, PyAny>,
    start: &Bound<'py, StartResponse>,
) -> PyResult<&'a Bound<'py, PyBytes>> {
    if let Ok(bytes) = chunk.cast_exact::<PyBytes>() {
        return Ok(bytes);
    }
    if let Some(violation) = validate::chunk(chunk) {
        start.get().responder.lock().violation(&violation);
    }
    chunk.cast::<PyBytes>().map_err(|_| {
        let kind = chunk.get_type().name().map(|name| name.to_string()).unwrap_or_default();
        PyTypeError::new_err(format!("the app's response must be made of bytes, not {kind}"))
    })
}

/// Gives the thread a name in Python, and notes Python's identifier of it.
fn introduce(py: Python<'_>, seat: &Seat) -> PyResult<()> {
    let threading = py.import("threading")?;
    let ident: u64 = threading.call_method0("get_ident")?.extract()?;
    seat.ident.store(ident, Ordering::Release);
    threading.call_method0("current_thread")?.setattr("name", format!("tidegate-{}", seat.number))
}

/// Takes the thread out of Python's table: the system may give its identifier to another.
fn farewell(py: Python<'_>) -> PyResult<()> {
    let threading = py.import("threading")?;
    let ident = threading.call_method0("get_ident")?;
    let active = threading.getattr(PyString::intern(py, "_active"))?;
    active.call_method1("pop", (ident, py.None())).map(drop)
}
