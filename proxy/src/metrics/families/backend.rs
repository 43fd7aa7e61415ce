//! What there is to count of workers: by app and slot.

use prometheus::{CounterVec, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry};

use super::register::{counters, gauges, histograms, register};

const BACKEND: &[&str] = &["app", "worker"];

#[derive(Debug)]
pub(in crate::metrics) struct Backend {
    pub(in crate::metrics) requests: IntCounterVec,
    pub(in crate::metrics) failures: IntCounterVec,
    pub(in crate::metrics) in_flight: IntGaugeVec,
    pub(in crate::metrics) threads_busy: IntGaugeVec,
    pub(in crate::metrics) threads: IntGaugeVec,
    pub(in crate::metrics) threads_max: IntGaugeVec,
    pub(in crate::metrics) up: IntGaugeVec,
    pub(in crate::metrics) memory: IntGaugeVec,
    pub(in crate::metrics) cpu: CounterVec,
    pub(in crate::metrics) connections: IntGaugeVec,
    pub(in crate::metrics) response_seconds: HistogramVec,
    pub(in crate::metrics) restarts: IntCounterVec,
}

impl Backend {
    pub(super) fn new(r: &Registry) -> Self {
        Self {
            requests: counters(
                r,
                "tidegate_backend_requests_total",
                "Responses of a worker by class of status.",
                &["app", "worker", "status"],
            ),
            failures: counters(
                r,
                "tidegate_backend_failures_total",
                "Attempts that failed at a worker, by cause.",
                &["app", "worker", "cause"],
            ),
            in_flight: gauges(r, "tidegate_backend_in_flight", "Requests that hold one of a worker's slots.", BACKEND),
            threads_busy: gauges(
                r,
                "tidegate_backend_threads_busy",
                "Threads of a worker that run a request, by its last heartbeat.",
                BACKEND,
            ),
            threads: gauges(r, "tidegate_backend_threads", "Threads a worker has, by its last heartbeat.", BACKEND),
            threads_max: gauges(r, "tidegate_backend_threads_max", "Threads a worker may have: its capacity.", BACKEND),
            up: gauges(r, "tidegate_backend_up", "1 if a worker takes requests, 0 otherwise.", BACKEND),
            memory: gauges(
                r,
                "tidegate_backend_memory_bytes",
                "Resident memory of a worker, by its last heartbeat.",
                BACKEND,
            ),
            cpu: register(
                r,
                CounterVec::new(
                    Opts::new(
                        "tidegate_backend_cpu_seconds_total",
                        "Processor time of a worker, over its replacements.",
                    ),
                    BACKEND,
                ),
            ),
            connections: gauges(r, "tidegate_backend_connections", "Open local connections to a worker.", BACKEND),
            response_seconds: histograms(
                r,
                "tidegate_backend_response_seconds",
                "Time from dispatch to a worker until its response head.",
                BACKEND,
            ),
            restarts: counters(
                r,
                "tidegate_backend_restarts_total",
                "Workers replaced since the app server started, by reason.",
                &["app", "reason"],
            ),
        }
    }
}
