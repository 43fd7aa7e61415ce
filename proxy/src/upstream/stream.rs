//! The socket below a worker's connection, as hyper sees it.
//!
//! A worker may answer without reading the request's body, and close. What it said is still to be
//! read then, but hyper ends with the first write that fails. So a failed write is kept from it: the
//! rest of the request goes nowhere, and reading tells how it ended.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tidegate_host::LocalStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connected socket.
#[derive(Debug)]
pub(super) struct WorkerStream {
    stream: LocalStream,
    deaf: Deaf,
}

/// Whether the worker's end takes nothing more.
#[derive(Debug, Clone, Default)]
pub(super) struct Deaf(Arc<AtomicBool>);

impl Deaf {
    /// Whether a write has failed.
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl WorkerStream {
    pub(super) fn new(stream: LocalStream) -> Self {
        Self { stream, deaf: Deaf::default() }
    }

    /// Tells of a failed write, when hyper has the stream.
    pub(super) fn deaf(&self) -> Deaf {
        self.deaf.clone()
    }

    /// The result that hyper is told of a write of `size` bytes.
    fn told(&self, written: Poll<io::Result<usize>>, size: usize) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Err(error)) => {
                tracing::debug!(%error, "a worker takes no more of a request");
                self.deaf.0.store(true, Ordering::Relaxed);
                Poll::Ready(Ok(size))
            }
            written => written,
        }
    }
}

impl AsyncRead for WorkerStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for WorkerStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.deaf.is_set() {
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.told(written, bytes.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let size = pieces.iter().map(|piece| piece.len()).sum();
        if self.deaf.is_set() {
            return Poll::Ready(Ok(size));
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.told(written, size)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.deaf.is_set() {
            return Poll::Ready(Ok(()));
        }
        let flushed = Pin::new(&mut self.stream).poll_flush(cx).map(|flushed| flushed.map(|()| 0));
        self.told(flushed, 0).map(|flushed| flushed.map(|_| ()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
