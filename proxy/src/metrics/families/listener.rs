//! What there is to count of listening sockets: by address.

use prometheus::{IntCounterVec, IntGaugeVec, Registry};

use super::register::{counters, gauges};

#[derive(Debug)]
pub(in crate::metrics) struct Listener {
    pub(in crate::metrics) connections: IntGaugeVec,
    pub(in crate::metrics) accepted: IntCounterVec,
    pub(in crate::metrics) refused: IntCounterVec,
    pub(in crate::metrics) idle_closed: IntCounterVec,
    pub(in crate::metrics) tls_handshakes: IntCounterVec,
}

impl Listener {
    pub(super) fn new(r: &Registry) -> Self {
        Self {
            connections: gauges(r, "tidegate_listener_connections", "Open client connections.", &["listener"]),
            accepted: counters(r, "tidegate_listener_accepted_total", "Client connections accepted.", &["listener"]),
            refused: counters(
                r,
                "tidegate_listener_refused_total",
                "Client connections closed at once, by limit.",
                &["listener", "limit"],
            ),
            idle_closed: counters(
                r,
                "tidegate_listener_idle_closed_total",
                "Idle connections asked to end at limits.connections, by the listener that a newcomer came to.",
                &["listener"],
            ),
            tls_handshakes: counters(
                r,
                "tidegate_tls_handshakes_total",
                "TLS handshakes by result.",
                &["listener", "result"],
            ),
        }
    }
}
