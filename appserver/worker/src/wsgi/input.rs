//! `wsgi.input`: the request body as a file to read. It waits for the I/O thread detached from
//! Python, ends like a file does (`b""` for ever), and raises `OSError` if the client goes away
//! before the end, so that half a body is never taken for a whole one.

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use pyo3::exceptions::{PyOSError, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use std::sync::Arc;

use crate::request::{Body, Request};
use crate::shared::Shared;
use crate::upload::Upload;

/// The stream.
#[pyclass(frozen, module = "tidegate_worker")]
pub(crate) struct Input {
    shared: &'static Shared,
    /// Taken out while a thread reads: the lock is never held during a wait.
    reader: Mutex<Option<Reader>>,
}

#[derive(Default)]
struct Reader {
    /// What has arrived and is not read yet.
    buffer: Bytes,
    upload: Option<Arc<Upload>>,
}

impl Input {
    /// The stream of a request; nothing if it has no body.
    pub(super) fn of<'py>(
        py: Python<'py>,
        shared: &'static Shared,
        request: &Request,
    ) -> PyResult<Option<Bound<'py, Self>>> {
        let reader = match &request.body {
            Body::Empty => return Ok(None),
            Body::Whole(bytes) => Reader { buffer: bytes.clone(), upload: None },
            Body::Streamed(upload) => Reader { buffer: Bytes::new(), upload: Some(Arc::clone(upload)) },
        };
        Bound::new(py, Self { shared, reader: Mutex::new(Some(reader)) }).map(Some)
    }

    /// The stream of every request without a body: it has no state, so one serves all.
    pub(super) fn empty<'py>(py: Python<'py>, shared: &'static Shared) -> PyResult<Bound<'py, Self>> {
        Bound::new(py, Self { shared, reader: Mutex::new(Some(Reader::default())) })
    }

    /// Runs `read` with the reader, which no other thread has meanwhile.
    fn reading<T>(&self, read: impl FnOnce(&mut Reader) -> PyResult<T>) -> PyResult<T> {
        let taken = self.reader.lock().take();
        let Some(mut reader) = taken else {
            return Err(PyRuntimeError::new_err("wsgi.input is being read by another thread"));
        };
        let result = read(&mut reader);
        *self.reader.lock() = Some(reader);
        result
    }
}

#[pymethods]
impl Input {
    #[pyo3(signature = (size = None, /))]
    fn read<'py>(&self, py: Python<'py>, size: Option<isize>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = self.reading(|reader| match limit(size) {
            None => reader.rest(py, self.shared),
            Some(size) => reader.exactly(py, self.shared, size),
        })?;
        Ok(PyBytes::new(py, &bytes))
    }

    #[pyo3(signature = (size = None, /))]
    fn readline<'py>(&self, py: Python<'py>, size: Option<isize>) -> PyResult<Bound<'py, PyBytes>> {
        let line = self.reading(|reader| reader.line(py, self.shared, limit(size)))?;
        Ok(PyBytes::new(py, &line))
    }

    #[pyo3(signature = (hint = None, /))]
    fn readlines<'py>(&self, py: Python<'py>, hint: Option<isize>) -> PyResult<Bound<'py, PyList>> {
        let enough = limit(hint).filter(|&hint| hint > 0).unwrap_or(usize::MAX);
        let lines = PyList::empty(py);
        let mut total = 0;
        while total < enough {
            let line = self.reading(|reader| reader.line(py, self.shared, None))?;
            if line.is_empty() {
                break;
            }
            total += line.len();
            lines.append(PyBytes::new(py, &line))?;
        }
        Ok(lines)
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let line = self.readline(py, None)?;
        Ok(if line.as_bytes().is_empty() { None } else { Some(line) })
    }
}

impl Reader {
    /// Makes the buffer non-empty if the body has not ended.
    fn fill(&mut self, py: Python<'_>, shared: &'static Shared) -> PyResult<()> {
        let Some(upload) = &self.upload else { return Ok(()) };
        while self.buffer.is_empty() {
            match upload.try_next(&shared.outbox) {
                Ok(Some(chunk)) if chunk.is_empty() => return Ok(()),
                Ok(Some(chunk)) => self.buffer = chunk,
                Ok(None) => py.detach(|| upload.wait()),
                Err(_) => return Err(PyOSError::new_err("the client went away before the request body's end")),
            }
        }
        Ok(())
    }

    fn rest(&mut self, py: Python<'_>, shared: &'static Shared) -> PyResult<Bytes> {
        self.exactly(py, shared, usize::MAX)
    }

    /// `size` bytes, or fewer at the end.
    fn exactly(&mut self, py: Python<'_>, shared: &'static Shared, size: usize) -> PyResult<Bytes> {
        if size == 0 {
            return Ok(Bytes::new());
        }
        self.fill(py, shared)?;
        let first = self.buffer.split_to(size.min(self.buffer.len()));
        if first.is_empty() || first.len() == size {
            return Ok(first);
        }
        self.fill(py, shared)?;
        if self.buffer.is_empty() {
            return Ok(first);
        }
        let mut all = BytesMut::from(&first[..]);
        while all.len() < size && !self.buffer.is_empty() {
            let piece = self.buffer.split_to((size - all.len()).min(self.buffer.len()));
            all.extend_from_slice(&piece);
            if all.len() < size {
                self.fill(py, shared)?;
            }
        }
        Ok(all.freeze())
    }

    /// Up to and including the next newline, `size` bytes at the most.
    fn line(&mut self, py: Python<'_>, shared: &'static Shared, size: Option<usize>) -> PyResult<Bytes> {
        let size = size.unwrap_or(usize::MAX);
        let mut line = BytesMut::new();
        while line.len() < size {
            self.fill(py, shared)?;
            if self.buffer.is_empty() {
                break;
            }
            let room = (size - line.len()).min(self.buffer.len());
            let newline = self.buffer[..room].iter().position(|&byte| byte == b'\n');
            let piece = self.buffer.split_to(newline.map_or(room, |place| place + 1));
            if line.is_empty() && newline.is_some() {
                return Ok(piece);
            }
            line.extend_from_slice(&piece);
            if newline.is_some() {
                break;
            }
        }
        Ok(line.freeze())
    }
}

/// Python's convention: nothing and negative mean no limit.
fn limit(size: Option<isize>) -> Option<usize> {
    size.and_then(|size| usize::try_from(size).ok())
}
