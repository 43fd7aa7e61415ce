//! The Tidegate worker: a Python extension module that serves one WSGI application on a local
//! socket. The app server starts it as `python -c BOOTSTRAP LIBRARY_PATH`, with `TIDEGATE_LAUNCH`
//! in the environment and a null standard input, where BOOTSTRAP is `appserver/src/bootstrap.py`.
//!
//! # Layout
//!
//! | Module | What it holds | Thread |
//! |---|---|---|
//! | `serve` | the worker's life, from launch to exit | main |
//! | `start` | the interpreter made ready, the app imported | main |
//! | `channel` | messages to and from the supervisor | I/O |
//! | `io` | the endpoint, hyper, deadlines | I/O |
//! | `threads` | who takes the next request | pool, I/O |
//! | `wsgi` | PEP 3333 | pool |
//! | `pipe`, `upload`, `outbox` | the bounded queues between I/O and pool | both |
//! | `deadline` | what follows a timeout, or a client that goes | watchdog |
//! | `inspect`, `stack` | what requests are doing, and which are slow | inspector |
//! | `log` | the worker's own lines on standard error | log |
//!
//! The I/O thread never runs Python; Python threads never touch sockets; nobody waits for
//! anything while attached to Python.

mod channel;
mod deadline;
mod exit;
mod inspect;
mod io;
mod log;
mod outbox;
mod pipe;
mod request;
mod serve;
mod shared;
mod stack;
mod start;
mod threads;
mod upload;
mod wsgi;

use pyo3::prelude::*;

/// The module.
#[pymodule]
fn tidegate_worker(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(main, module)?)?;
    module.add_class::<wsgi::FileWrapper>()?;
    module.add("ClientDisconnected", module.py().get_type::<wsgi::timeout::ClientDisconnected>())?;
    module.add("RequestTimeout", module.py().get_type::<wsgi::timeout::RequestTimeout>())
}

/// Serves as `TIDEGATE_LAUNCH` says, until the supervisor says stop. The result is the exit code.
#[pyfunction]
fn main(py: Python<'_>) -> i32 {
    let code = serve::run(py);
    py.detach(log::finish);
    code
}
