//! Metrics of one app: its queue, its requests as clients saw them, its restarts, its workers.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use prometheus::{Histogram, IntCounter, IntGauge};
use tidegate_contract::{Cause, RestartReason};
use tidegate_site::Priority;

use super::families::Families;
use super::held::Held;
use super::series::CauseCounters;
use super::worker::WorkerMetrics;

/// Counts what one app does, over all its workers.
#[derive(Debug)]
pub(crate) struct AppMetrics {
    name: String,
    families: Arc<Families>,
    failures: CauseCounters,
    queue_depth: [IntGauge; Priority::ALL.len()],
    queue_wait_seconds: Histogram,
    request_seconds: Histogram,
    up: IntGauge,
    processes: AtomicU32,
    restarts: Mutex<[Restarts; RestartReason::ALL.len()]>,
    // Locked when the pool changes, never while a request is served.
    workers: Mutex<HashMap<u32, Arc<WorkerMetrics>>>,
}

/// Restarts for one reason. `seen` is the app server's own count, which starts again at 0 with
/// the app server; the counter then starts again too, as Prometheus expects of counters.
#[derive(Debug)]
struct Restarts {
    reason: RestartReason,
    counter: IntCounter,
    seen: u64,
}

impl AppMetrics {
    pub(super) fn new(families: &Arc<Families>, name: &str) -> Self {
        let restarts = RestartReason::ALL.map(|reason| Restarts {
            reason,
            counter: families.backend.restarts.with_label_values(&[name, reason.label()]),
            seen: 0,
        });
        Self {
            failures: CauseCounters::new(&families.app.failures, &[name], &Cause::ALL),
            queue_depth: Priority::ALL
                .map(|priority| families.app.queue_depth.with_label_values(&[name, priority.label()])),
            queue_wait_seconds: families.app.queue_wait_seconds.with_label_values(&[name]),
            request_seconds: families.app.request_seconds.with_label_values(&[name]),
            up: families.app.up.with_label_values(&[name]),
            processes: AtomicU32::new(0),
            restarts: Mutex::new(restarts),
            workers: Mutex::default(),
            name: name.to_owned(),
            families: Arc::clone(families),
        }
    }

    /// The metrics of a worker slot, made at the first call for it.
    pub(crate) fn worker(&self, slot: u32) -> Arc<WorkerMetrics> {
        let mut workers = self.workers.lock();
        let worker = workers.entry(slot);
        let make = || Arc::new(WorkerMetrics::new(&self.families, &self.name, slot));
        Arc::clone(worker.or_insert_with(make))
    }

    /// How many slots the site file gives the app: each has series from now on.
    pub(crate) fn set_processes(&self, processes: u32) {
        self.processes.store(processes, Ordering::Relaxed);
        for slot in 0..processes {
            self.worker(slot);
        }
    }

    /// Shows the slots for which there is no worker at the moment as down and without threads,
    /// and forgets those that a reload took away.
    pub(crate) fn set_down_unless(&self, present: impl Fn(u32) -> bool) {
        let processes = self.processes.load(Ordering::Relaxed);
        self.workers.lock().retain(|slot, worker| {
            if present(*slot) {
                return true;
            }
            if *slot >= processes {
                worker.forget();
                return false;
            }
            worker.set_up(false);
            worker.set_threads(0, 0, 0);
            worker.set_memory(0);
            true
        });
    }

    /// A request waits in the queue for as long as the guard lives.
    pub(crate) fn queued(&self, priority: Priority) -> Held {
        Held::new(&self.queue_depth[priority as usize])
    }

    /// A request left the queue for a worker after this long; zero if it never had to wait.
    pub(crate) fn waited(&self, wait: Duration) {
        self.queue_wait_seconds.observe(wait.as_secs_f64());
    }

    /// A request for this app is over, this long after its header was read.
    pub(crate) fn finished(&self, duration: Duration) {
        self.request_seconds.observe(duration.as_secs_f64());
    }

    /// A request for this app failed: once for each request, retries are not seen here.
    pub(crate) fn failed(&self, cause: Cause) {
        self.failures.inc(cause);
    }

    /// Whether at least one worker is ready.
    pub(crate) fn set_up(&self, up: bool) {
        self.up.set(i64::from(up));
    }

    /// Takes over the app server's absolute counts.
    pub(crate) fn set_restarts(&self, counts: &[(RestartReason, u64)]) {
        let mut restarts = self.restarts.lock();
        for (reason, count) in counts {
            if let Some(known) = restarts.iter_mut().find(|known| known.reason == *reason) {
                if *count < known.seen {
                    known.counter.reset();
                    known.seen = 0;
                }
                known.counter.inc_by(*count - known.seen);
                known.seen = *count;
            }
        }
    }

    /// Takes the app's series, and its workers', out of what is shown.
    pub(super) fn forget(&self) {
        for (_, worker) in self.workers.lock().drain() {
            worker.forget();
        }
        let families = &self.families;
        let labels: &[&str] = &[&self.name];
        self.failures.forget(&families.app.failures, labels);
        for reason in RestartReason::ALL {
            // Fails only if the series is gone already; so do those below.
            let _ = families.backend.restarts.remove_label_values(&[&self.name, reason.label()]);
        }
        for priority in Priority::ALL {
            let _ = families.app.queue_depth.remove_label_values(&[&self.name, priority.label()]);
        }
        let _ = families.app.up.remove_label_values(labels);
        let _ = families.app.queue_wait_seconds.remove_label_values(labels);
        let _ = families.app.request_seconds.remove_label_values(labels);
    }
}
