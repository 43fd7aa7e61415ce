//! Strings between Python and HTTP: PEP 3333 has bytes in `str`, one byte a character.

use std::ffi::c_char;
use std::ptr;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

/// A `str` with one character for each byte.
#[inline]
pub(super) fn latin1<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyString>> {
    // SAFETY: pointer and length are those of a live slice, whose length never exceeds isize::MAX;
    // the result is a new reference to a `str`, or null with an exception set.
    unsafe {
        let object =
            ffi::PyUnicode_DecodeLatin1(bytes.as_ptr().cast::<c_char>(), bytes.len() as ffi::Py_ssize_t, ptr::null());
        Ok(Bound::from_owned_ptr_or_err(py, object)?.cast_into_unchecked())
    }
}

/// The bytes of a `str`; an exception if a character is above U+00FF.
#[inline]
pub(super) fn to_bytes<'py>(text: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyBytes>> {
    // SAFETY: `text` is a live `str`; the result is a new reference to a `bytes`, or null with an
    // exception set.
    unsafe {
        let object = ffi::PyUnicode_AsLatin1String(text.as_ptr());
        Ok(Bound::from_owned_ptr_or_err(text.py(), object)?.cast_into_unchecked())
    }
}
