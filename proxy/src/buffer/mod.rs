//! Bodies that wait in the proxy, so that no thread of an app waits for a client: in memory up to
//! `limits.buffer_memory` each, then in a file, all files together up to `limits.buffer_disk`.
//!
//! `request::dynamic` fills a [`Spool`] with a request's body before a worker is asked for, and with
//! the part of a response that its client has not taken yet. Nothing here touches a socket, and what a
//! full disk means to a request is decided there.

mod disk;
mod spool;
mod stored;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tidegate_site::BufferLimits;
use tracing::{debug, error};

pub(crate) use self::spool::Spool;
pub(crate) use self::stored::{Reading, Stored};
use crate::metrics::BufferMetrics;

/// Between two reports that the disk takes nothing more: it concerns every upload until it is over.
const REPORT_EVERY: Duration = Duration::from_secs(60);

/// What all bodies share: the disk's quota and the metrics.
#[derive(Debug)]
pub(crate) struct Buffers {
    used: AtomicU64,
    metrics: BufferMetrics,
    reported: Mutex<Option<Instant>>,
}

/// Why a body cannot go to the disk.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Full {
    /// All bodies together have what they may have.
    #[error("limits.buffer_disk is used up")]
    Quota,
    /// The disk is full or cannot be written.
    #[error("the disk does not take it: {0}")]
    Disk(io::Error),
    /// This body has what it may have alone.
    #[error("limits.buffer_response is used up")]
    Body,
}

impl Buffers {
    /// Nothing is buffered yet.
    pub(crate) fn new(metrics: BufferMetrics) -> Arc<Self> {
        Arc::new(Self { used: AtomicU64::new(0), metrics, reported: Mutex::default() })
    }

    /// A share of the quota, until it is dropped.
    fn reserve(self: &Arc<Self>, bytes: u64, quota: u64) -> Option<Reserved> {
        let fits = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= quota);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).ok()?;
        self.metrics.disk.add(signed(bytes));
        Some(Reserved { buffers: Arc::clone(self), bytes })
    }

    /// Counts and tells, but not each time, that the disk takes nothing more.
    fn refused(&self, full: &Full, limits: &BufferLimits) {
        if matches!(full, Full::Body) {
            return;
        }
        self.metrics.rejected.inc();
        let now = Instant::now();
        {
            let mut reported = self.reported.lock();
            if reported.is_some_and(|last| now.duration_since(last) < REPORT_EVERY) {
                return;
            }
            *reported = Some(now);
        }
        error!(
            directory = %limits.directory.display(),
            used = self.used.load(Ordering::Relaxed),
            quota = limits.disk,
            reason = %full,
            "no room to buffer a body on the disk"
        );
    }
}

/// Removes what an earlier life of the proxy left in the directory. Files in use are safe: on Unix
/// they have no name any more, and Windows does not let go of them.
pub(crate) fn clear(directory: &Path) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if disk::is_ours(&name.to_string_lossy())
            && let Err(error) = std::fs::remove_file(entry.path())
        {
            debug!(file = %entry.path().display(), %error, "could not remove a buffered body");
        }
    }
}

/// Bytes of the quota, given back on drop.
#[derive(Debug)]
struct Reserved {
    buffers: Arc<Buffers>,
    bytes: u64,
}

impl Reserved {
    fn absorb(&mut self, mut other: Self) {
        self.bytes += std::mem::take(&mut other.bytes);
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.buffers.used.fetch_sub(self.bytes, Ordering::Relaxed);
        self.buffers.metrics.disk.sub(signed(self.bytes));
    }
}

/// Bytes that wait in memory, for the metric.
#[derive(Debug)]
struct InMemory {
    buffers: Arc<Buffers>,
    bytes: usize,
}

impl InMemory {
    fn new(buffers: &Arc<Buffers>) -> Self {
        Self { buffers: Arc::clone(buffers), bytes: 0 }
    }

    fn set(&mut self, bytes: usize) {
        self.buffers.metrics.memory.add(signed(bytes as u64) - signed(self.bytes as u64));
        self.bytes = bytes;
    }
}

impl Drop for InMemory {
    fn drop(&mut self) {
        self.set(0);
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
