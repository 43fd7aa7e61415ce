//! The exceptions that interrupt a thread: its request passed its deadline, or its client has gone.

use std::ffi::c_long;
use std::ptr;
use std::sync::atomic::Ordering;

use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;
use pyo3::{create_exception, ffi};
use tidegate_contract::Interruption;

use crate::threads::Seat;

create_exception!(
    tidegate_worker,
    RequestTimeout,
    PyBaseException,
    "The request passed its deadline and was answered without the app."
);

create_exception!(
    tidegate_worker,
    ClientDisconnected,
    PyBaseException,
    "The client of the request went away, and the app is to be told (cancel_when_client_gone)."
);

/// Makes the thread that holds `seat` raise an exception as soon as it runs Python code. The
/// caller holds the lock of what the seat runs.
pub(crate) fn throw(py: Python<'_>, seat: &Seat, because: Interruption) {
    let exception = match because {
        Interruption::Timeout => py.get_type::<RequestTimeout>(),
        Interruption::ClientGone => py.get_type::<ClientDisconnected>(),
    };
    set(py, seat, exception.as_ptr());
}

/// Takes back an exception that has not been raised yet; likewise.
pub(crate) fn take_back(py: Python<'_>, seat: &Seat) {
    set(py, seat, ptr::null_mut());
}

fn set(_attached: Python<'_>, seat: &Seat, exception: *mut ffi::PyObject) {
    // The C parameter is an unsigned long, which is what Python's identifier was made from: the
    // conversion only restores its bits.
    let ident = seat.ident.load(Ordering::Acquire) as c_long;
    // SAFETY: the caller is attached to Python; `exception` is a live type object or null, and
    // Python takes a reference of its own.
    unsafe { ffi::PyThreadState_SetAsyncExc(ident, exception) };
}
