//! A worker process that can be connected to: where it listens, and the idle connections to it.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use parking_lot::Mutex;
use tidegate_contract::Generation;
use tidegate_host::Endpoint;

use super::connection::Idle;
use super::workers::Seat;
use crate::metrics::WorkerMetrics;

/// A worker process that can be connected to.
pub(crate) struct Backend {
    pub(super) seat: Seat,
    pub(super) generation: Generation,
    pub(super) endpoint: Endpoint,
    /// Slot number: the metric label.
    pub(crate) slot: u32,
    /// Counters of the worker.
    pub(crate) metrics: Arc<WorkerMetrics>,
    pub(super) idle: Mutex<Idle>,
    /// The process that serves there, as the app server knows it; a worker gets requests only when it has said so.
    pub(super) pid: AtomicU32,
    /// Busy threads, by the last heartbeat the proxy was told of.
    pub(super) busy: AtomicU32,
}

impl std::fmt::Debug for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backend").field("generation", &self.generation).field("endpoint", &self.endpoint).finish()
    }
}
