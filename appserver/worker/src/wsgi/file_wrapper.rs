//! `wsgi.file_wrapper`: an iterable over anything with a `read` method, from where it stands.

use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// The block where the app suggests none.
const BLOCK: usize = 64 << 10;
/// The block of a file on a disk, whatever the app suggests: frameworks suggest 4 or 8 KiB, and each block is a call of
/// `read`, a piece of its own in the response, and a turn at the GIL.
const BLOCK_OF_DISK: usize = 128 << 10;
/// In `st_mode`: the type of a file, and a regular one.
const TYPE: (u32, u32) = (0o170_000, 0o100_000);

/// Yields blocks of a file-like object.
#[pyclass(frozen, module = "tidegate_worker")]
pub(crate) struct FileWrapper {
    file: Py<PyAny>,
    block: usize,
}

impl FileWrapper {
    /// The next block for the response, nothing at the end; `block` is [`FileWrapper::block`].
    pub(super) fn read<'py>(&self, py: Python<'py>, block: usize) -> PyResult<Option<Bound<'py, PyAny>>> {
        let block = self.file.bind(py).call_method1("read", (block,))?;
        // Anything that is not bytes is for the server to refuse.
        let ended = block.cast::<PyBytes>().is_ok_and(|bytes| bytes.as_bytes().is_empty());
        Ok(if ended { None } else { Some(block) })
    }

    /// How much to read at once for the response. Only a file on a disk has more at once without a wait.
    pub(super) fn block(&self, py: Python<'_>) -> usize {
        if self.is_on_disk(py).unwrap_or(false) { self.block.max(BLOCK_OF_DISK) } else { self.block }
    }

    /// Whether it is a regular file as `open` returns it. Of anything else a block may be late, or `fileno` may be that of
    /// something inside it, as with a compressed file.
    fn is_on_disk(&self, py: Python<'_>) -> PyResult<bool> {
        let file = self.file.bind(py);
        let io = py.import("io")?;
        let kind = file.get_type();
        if !kind.is(&io.getattr("BufferedReader")?) && !kind.is(&io.getattr("FileIO")?) {
            return Ok(false);
        }
        let status = py.import("os")?.call_method1("fstat", (file.call_method0("fileno")?,))?;
        let mode: u32 = status.getattr("st_mode")?.extract()?;
        Ok(mode & TYPE.0 == TYPE.1)
    }
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
        self.read(py, self.block)
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        match self.file.bind(py).getattr_opt("close")? {
            Some(close) => close.call0().map(drop),
            None => Ok(()),
        }
    }
}
