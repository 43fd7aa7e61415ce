//! What there is to count of requests as clients see them, and of what the rules of hosts and routes do to them.

use prometheus::{IntCounter, IntCounterVec, IntGaugeVec, Registry};

use super::register::{counter, counters, gauges};

#[derive(Debug)]
pub(in crate::metrics) struct Http {
    pub(in crate::metrics) requests: IntCounterVec,
    pub(in crate::metrics) failures: IntCounterVec,
    pub(in crate::metrics) sent_bytes: IntCounter,
    pub(in crate::metrics) received_bytes: IntCounter,
    pub(in crate::metrics) limited_requests: IntCounterVec,
    pub(in crate::metrics) maintenance: IntGaugeVec,
    pub(in crate::metrics) http2_ended: IntCounterVec,
    pub(in crate::metrics) passwords: IntCounterVec,
}

impl Http {
    pub(super) fn new(r: &Registry) -> Self {
        Self {
            requests: counters(
                r,
                "tidegate_http_requests_total",
                "Requests by protocol and class of status.",
                &["protocol", "status"],
            ),
            failures: counters(
                r,
                "tidegate_http_failures_total",
                "Requests that failed, by cause, whether routed or not.",
                &["cause"],
            ),
            sent_bytes: counter(r, "tidegate_http_sent_bytes_total", "Bytes of response bodies sent to clients."),
            received_bytes: counter(
                r,
                "tidegate_http_received_bytes_total",
                "Bytes of request bodies received from clients.",
            ),
            limited_requests: counters(
                r,
                "tidegate_limited_requests_total",
                "Requests over a limit of the site file.",
                &["place", "limit", "action"],
            ),
            maintenance: gauges(
                r,
                "tidegate_maintenance",
                "1 if a host is closed for maintenance, 0 otherwise.",
                &["host"],
            ),
            http2_ended: counters(
                r,
                "tidegate_http2_ended_total",
                "HTTP/2 connections ended for what their clients did, by reason.",
                &["reason"],
            ),
            passwords: counters(
                r,
                "tidegate_passwords_total",
                "Requests to routes with basic_auth, by what became of their password.",
                &["result"],
            ),
        }
    }
}
