//! What `slots` knows of one worker process.

use std::time::Duration;

use tidegate_contract::{Generation, RestartReason, WorkerPhase, WorkerState};
use tokio::time::Instant;

use crate::recycle::Limits;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Starting,
    Ready,
    Silent,
    Draining { until: Instant, drained: bool },
    Stopping,
}

/// What a process does and takes, at its last heartbeat.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) busy: u32,
    pub(crate) threads: u32,
    pub(crate) requests: u64,
    pub(crate) memory_bytes: u64,
    pub(crate) cpu_ms: u64,
}

#[derive(Debug)]
pub(super) struct Process {
    pub(super) slot: u32,
    pub(super) generation: Generation,
    endpoint: String,
    pub(super) stage: Stage,
    pub(super) ready_at: Option<Instant>,
    /// To be replaced.
    pub(super) condemned: bool,
    /// The proxy has said that nothing is in flight on it. A commit reaches the proxy before this process is told
    /// to drain, so its word may come first.
    named_drained: bool,
    pub(super) pid: u32,
    pub(super) python: String,
    pub(super) figures: Figures,
    limits: Limits,
}

impl Process {
    pub(super) fn new(slot: u32, generation: Generation, endpoint: String, limits: Limits) -> Self {
        Self {
            slot,
            generation,
            endpoint,
            stage: Stage::Starting,
            ready_at: None,
            condemned: false,
            named_drained: false,
            pid: 0,
            python: String::new(),
            figures: Figures::default(),
            limits,
        }
    }

    pub(super) const fn is_leaving(&self) -> bool {
        matches!(self.stage, Stage::Draining { .. } | Stage::Stopping)
    }

    pub(super) fn drain(&mut self, now: Instant, timeout: Duration) {
        if self.is_leaving() {
            return;
        }
        // A process that never served has nothing in flight.
        self.stage = match self.ready_at {
            Some(_) => Stage::Draining { until: now + timeout, drained: self.named_drained },
            None => Stage::Draining { until: now, drained: true },
        };
    }

    /// The proxy's word that nothing is in flight on it.
    pub(super) fn drained(&mut self) {
        self.named_drained = true;
        self.set_idle();
    }

    /// Nothing is in flight on it, if it drains.
    pub(super) fn set_idle(&mut self) {
        if let Stage::Draining { drained, .. } = &mut self.stage {
            *drained = true;
        }
    }

    /// Why it is to be recycled, if it is.
    pub(super) fn has_done(&self, now: Instant) -> Option<RestartReason> {
        let age = now.saturating_duration_since(self.ready_at?);
        self.limits.reached(self.figures.requests, self.figures.memory_bytes, age)
    }

    /// When it will have lived for long enough.
    pub(super) fn lifetime_end(&self) -> Option<Instant> {
        Some(self.ready_at? + self.limits.lifetime()?)
    }

    pub(super) fn state(&self, threads_max: u32) -> WorkerState {
        WorkerState {
            slot: self.slot,
            generation: self.generation,
            endpoint: self.endpoint.clone(),
            threads_max,
            phase: match self.stage {
                Stage::Starting => WorkerPhase::Starting,
                Stage::Ready => WorkerPhase::Ready,
                Stage::Silent => WorkerPhase::Unresponsive,
                Stage::Draining { .. } | Stage::Stopping => WorkerPhase::Draining,
            },
            pid: self.pid,
            threads_busy: self.figures.busy,
            threads: self.figures.threads,
            memory_bytes: self.figures.memory_bytes,
            cpu_ms: self.figures.cpu_ms,
            python: self.python.clone(),
        }
    }
}
