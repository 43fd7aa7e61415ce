//! Stands between an HTTP/1.1 connection and pingora while a chunked body comes in: bytes that two programs could
//! read differently do not get through, and the exchange learns why its body ended.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use parking_lot::Mutex;

use super::watched::Watch;
use crate::request::guard::Chunks;

/// Nothing to look at: no chunked body, or it has come.
const OPEN: u8 = 0;
/// A chunked body comes.
const WATCHING: u8 = 1;
/// It was malformed; the connection is of no more use.
const SHUT: u8 = 2;

/// The gate of one connection; a clone is the same gate.
#[derive(Debug, Clone, Default)]
pub(super) struct Gate(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: AtomicU8,
    /// Only ever locked by the connection's own task.
    chunks: Mutex<Option<Chunks>>,
}

impl Gate {
    /// Watches the chunked body that follows. `beginning` was read with the header.
    pub(super) fn watch(&self, beginning: &[u8]) {
        *self.0.chunks.lock() = Some(Chunks::new());
        self.0.state.store(WATCHING, Ordering::Relaxed);
        // An error shows as a gate that is shut.
        let _ = self.look(beginning);
    }

    /// Whether the body was found malformed.
    pub(super) fn is_shut(&self) -> bool {
        self.0.state.load(Ordering::Relaxed) == SHUT
    }

    /// Whether no body is left to come: the connection may carry another request.
    pub(super) fn is_open(&self) -> bool {
        self.0.state.load(Ordering::Relaxed) == OPEN
    }

    fn look(&self, bytes: &[u8]) -> io::Result<()> {
        match self.0.state.load(Ordering::Relaxed) {
            OPEN => return Ok(()),
            SHUT => return Err(io::ErrorKind::InvalidData.into()),
            _ => {}
        }
        let mut chunks = self.0.chunks.lock();
        let Some(body) = chunks.as_mut() else { return Ok(()) };
        if let Err(problem) = body.check(bytes) {
            self.0.state.store(SHUT, Ordering::Relaxed);
            return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
        }
        if body.is_done() {
            self.0.state.store(OPEN, Ordering::Relaxed);
            *chunks = None;
        }
        Ok(())
    }
}

impl Watch for Gate {
    fn received(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.look(bytes)
    }
}
