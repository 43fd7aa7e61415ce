//! What there is to count of apps.

use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec, Registry};

use super::register::{counters, gauges, histograms};

const APP: &[&str] = &["app"];

#[derive(Debug)]
pub(in crate::metrics) struct App {
    pub(in crate::metrics) failures: IntCounterVec,
    pub(in crate::metrics) queue_depth: IntGaugeVec,
    pub(in crate::metrics) queue_wait_seconds: HistogramVec,
    pub(in crate::metrics) request_seconds: HistogramVec,
    pub(in crate::metrics) up: IntGaugeVec,
}

impl App {
    pub(super) fn new(r: &Registry) -> Self {
        Self {
            failures: counters(
                r,
                "tidegate_app_failures_total",
                "Requests for an app that failed, by cause.",
                &["app", "cause"],
            ),
            queue_depth: gauges(
                r,
                "tidegate_app_queue_depth",
                "Requests that wait for a free thread, by priority.",
                &["app", "priority"],
            ),
            queue_wait_seconds: histograms(
                r,
                "tidegate_app_queue_wait_seconds",
                "Time a dispatched request waited for a free thread.",
                APP,
            ),
            request_seconds: histograms(
                r,
                "tidegate_app_request_seconds",
                "Whole duration of a request for an app, as its client saw it.",
                APP,
            ),
            up: gauges(r, "tidegate_app_up", "1 if an app has a worker that takes requests, 0 otherwise.", APP),
        }
    }
}
