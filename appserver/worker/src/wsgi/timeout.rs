//! The exception that interrupts a thread whose request passed its deadline.

use std::ffi::c_long;
use std::ptr;
use std::sync::atomic::Ordering;

use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;
use pyo3::{create_exception, ffi};

use crate::threads::Seat;

create_exception!(
    tidegate_worker,
    RequestTimeout,
    PyBaseException,
    "The request passed its deadline and was answered without the app."
);

/// Makes the thread that holds `seat` raise `RequestTimeout` as soon as it runs Python code. The
/// caller holds the lock of what the seat runs.
pub(crate) fn throw(py: Python<'_>, seat: &Seat) {
    let exception = py.get_type::<RequestTimeout>();
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
