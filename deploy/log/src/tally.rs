//! What happened to one log's lines and files, for whoever shows metrics. Counted by `file`.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts of one log, from the program's start on.
#[derive(Debug, Default)]
pub struct Tally {
    lost: AtomicU64,
    rotated: AtomicU64,
}

impl Tally {
    /// Nothing has happened yet.
    pub const fn new() -> Self {
        Self { lost: AtomicU64::new(0), rotated: AtomicU64::new(0) }
    }

    /// Lines that could not be written.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Files that were set aside.
    pub fn rotated(&self) -> u64 {
        self.rotated.load(Ordering::Relaxed)
    }

    pub(crate) fn lose(&self, lines: u64) {
        self.lost.fetch_add(lines, Ordering::Relaxed);
    }

    pub(crate) fn rotate(&self) {
        self.rotated.fetch_add(1, Ordering::Relaxed);
    }
}
