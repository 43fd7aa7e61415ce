//! Metrics of one worker slot, seen from the proxy. A replaced worker goes on counting in its
//! slot's series, so a restart shows as a rise of `tidegate_backend_restarts_total` and not as
//! a new backend.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus::{Counter, Histogram, IntGauge};
use tidegate_contract::{Cause, Generation};

use super::families::Families;
use super::held::Held;
use super::series::{CauseCounters, StatusCounters};

/// The causes that are a worker's doing.
const WORKER_CAUSES: [Cause; 5] =
    [Cause::WorkerTimeout, Cause::WorkerDied, Cause::WorkerUnreachable, Cause::WorkerInvalid, Cause::AppError];

/// Counts what one worker slot does.
#[derive(Debug)]
pub(crate) struct WorkerMetrics {
    app: String,
    slot: String,
    families: Arc<Families>,
    requests: StatusCounters,
    failures: CauseCounters,
    in_flight: IntGauge,
    threads_busy: IntGauge,
    threads: IntGauge,
    threads_max: IntGauge,
    up: IntGauge,
    memory: IntGauge,
    cpu: Counter,
    /// Milliseconds counted of each process that is there.
    cpu_seen: Mutex<HashMap<Generation, u64>>,
    connections: IntGauge,
    response_seconds: Histogram,
}

impl WorkerMetrics {
    pub(super) fn new(families: &Arc<Families>, app: &str, slot: u32) -> Self {
        let slot = slot.to_string();
        let labels: &[&str] = &[app, &slot];
        Self {
            requests: StatusCounters::new(&families.backend.requests, labels),
            failures: CauseCounters::new(&families.backend.failures, labels, &WORKER_CAUSES),
            in_flight: families.backend.in_flight.with_label_values(labels),
            threads_busy: families.backend.threads_busy.with_label_values(labels),
            threads: families.backend.threads.with_label_values(labels),
            threads_max: families.backend.threads_max.with_label_values(labels),
            up: families.backend.up.with_label_values(labels),
            memory: families.backend.memory.with_label_values(labels),
            cpu: families.backend.cpu.with_label_values(labels),
            cpu_seen: Mutex::default(),
            connections: families.backend.connections.with_label_values(labels),
            response_seconds: families.backend.response_seconds.with_label_values(labels),
            app: app.to_owned(),
            families: Arc::clone(families),
            slot,
        }
    }

    /// A request takes one of the worker's slots; keep the guard until its thread is back.
    pub(crate) fn dispatched(&self) -> Held {
        Held::new(&self.in_flight)
    }

    /// A connection to the worker is open for as long as the guard lives.
    pub(crate) fn connected(&self) -> Held {
        Held::new(&self.connections)
    }

    /// The worker sent a response head, this long after dispatch.
    pub(crate) fn finished(&self, status: u16, since_dispatch: Duration) {
        self.requests.inc(status);
        self.response_seconds.observe(since_dispatch.as_secs_f64());
    }

    /// An attempt on this worker failed; counted even if another worker then answers.
    pub(crate) fn failed(&self, cause: Cause) {
        self.failures.inc(cause);
    }

    /// Whether the worker may be given requests.
    pub(crate) fn set_up(&self, up: bool) {
        self.up.set(i64::from(up));
    }

    /// Threads by the worker's last heartbeat.
    pub(crate) fn set_threads(&self, busy: u32, threads: u32, max: u32) {
        self.threads_busy.set(i64::from(busy));
        self.threads.set(i64::from(threads));
        self.threads_max.set(i64::from(max));
    }

    /// Resident memory of the slot's processes.
    pub(crate) fn set_memory(&self, bytes: u64) {
        self.memory.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// The processor time that each process of the slot has used since its start, in milliseconds. What
    /// those used that are no more stays counted.
    pub(crate) fn set_cpu(&self, processes: &[(Generation, u64)]) {
        let mut seen = self.cpu_seen.lock();
        seen.retain(|generation, _| processes.iter().any(|(present, _)| present == generation));
        for (generation, used) in processes {
            let before = seen.insert(*generation, *used).unwrap_or_default();
            // Less than before is another process: generations begin anew with the app server.
            let more = if *used >= before { *used - before } else { *used };
            self.cpu.inc_by(more as f64 / 1000.0);
        }
    }

    /// Takes the series out of what is shown.
    pub(super) fn forget(&self) {
        let labels: &[&str] = &[&self.app, &self.slot];
        let families = &self.families;
        StatusCounters::forget(&families.backend.requests, labels);
        self.failures.forget(&families.backend.failures, labels);
        for gauges in [
            &families.backend.in_flight,
            &families.backend.threads_busy,
            &families.backend.threads,
            &families.backend.threads_max,
            &families.backend.up,
            &families.backend.memory,
            &families.backend.connections,
        ] {
            // Fails only if the series is gone already.
            let _ = gauges.remove_label_values(labels);
        }
        let _ = families.backend.cpu.remove_label_values(labels);
        let _ = families.backend.response_seconds.remove_label_values(labels);
    }
}
