//! `wsgi.file_wrapper`: an iterable over anything with a `read` method, from where it stands.

use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// Smallest block that is worth a trip through the app's `read`.
const BLOCK: usize = 64 << 10;

/// Yields blocks of a file-like object.
#[pyclass(frozen, module = "tidegate_worker")]
pub(crate) struct FileWrapper {
    file: Py<PyAny>,
    block: usize,
}

#[pymethods]
impl FileWrapper {
    #[new]
    #[pyo3(signature = (filelike, blksize = BLOCK))]
    fn new(filelike: Py<PyAny>, blksize: usize) -> Self {
        Self { file: filelike, block: blksize.max(1) }
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let block = self.file.bind(py).call_method1("read", (self.block,))?;
        // Anything that is not bytes is for the server to refuse.
        let ended = block.cast::<PyBytes>().is_ok_and(|bytes| bytes.as_bytes().is_empty());
        Ok(if ended { None } else { Some(block) })
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        match self.file.bind(py).getattr_opt("close")? {
            Some(close) => close.call0().map(drop),
            None => Ok(()),
        }
    }
}
