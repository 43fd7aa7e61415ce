//! Metrics of the proxy's own half: listeners, HTTP as clients see it, static files.

use std::sync::Arc;

use prometheus::{IntCounter, IntGauge};
use tidegate_contract::Cause;

use super::families::Families;
use super::held::Held;
use super::series::{CauseCounters, StatusCounters};

/// How a TLS handshake ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handshake {
    /// The connection is encrypted.
    Ok,
    /// The client spoke no TLS, refused the certificate, or offered nothing in common.
    Failed,
    /// It took longer than `handshake_timeout`.
    Timeout,
}

impl Handshake {
    const ALL: [Self; 3] = [Self::Ok, Self::Failed, Self::Timeout];

    const fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
        }
    }
}

/// Why an HTTP/2 connection was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// A flood of frames that are no requests.
    Flood,
    /// Too many requests that are none.
    Malformed,
    /// Frames against the protocol or over a limit of the HTTP/2 library.
    Protocol,
    /// The client took nothing for too long.
    Stalled,
}

impl Ended {
    const ALL: [Self; 4] = [Self::Flood, Self::Malformed, Self::Protocol, Self::Stalled];

    /// Its label.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Flood => "flood",
            Self::Malformed => "malformed",
            Self::Protocol => "protocol",
            Self::Stalled => "stalled",
        }
    }
}

/// The protocol of a request, as a metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// HTTP/1.0 and HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// Counts one listening socket's connections.
#[derive(Debug)]
pub(crate) struct ListenerMetrics {
    connections: IntGauge,
    accepted: IntCounter,
    refused: IntCounter,
    idle_closed: IntCounter,
    handshakes: [IntCounter; Handshake::ALL.len()],
}

impl ListenerMetrics {
    pub(super) fn new(families: &Arc<Families>, address: &str) -> Self {
        let handshakes =
            Handshake::ALL.map(|end| families.listener.tls_handshakes.with_label_values(&[address, end.label()]));
        Self {
            connections: families.listener.connections.with_label_values(&[address]),
            accepted: families.listener.accepted.with_label_values(&[address]),
            refused: families.listener.refused.with_label_values(&[address, "address"]),
            idle_closed: families.listener.idle_closed.with_label_values(&[address]),
            handshakes,
        }
    }

    /// A connection was accepted; it is open for as long as the guard lives.
    pub(crate) fn accepted(&self) -> Held {
        self.accepted.inc();
        Held::new(&self.connections)
    }

    /// A connection was closed at once: its address has too many.
    pub(crate) fn refused(&self) {
        self.refused.inc();
    }

    /// So many idle connections were asked to make room for a newcomer.
    pub(crate) fn idle_closed(&self, connections: usize) {
        self.idle_closed.inc_by(connections as u64);
    }

    /// Removes the series of a listener that is gone. Handles still held count on unseen.
    pub(super) fn forget(families: &Families, address: &str) {
        // A series that was never made is as good as removed.
        let _ = families.listener.connections.remove_label_values(&[address]);
        let _ = families.listener.accepted.remove_label_values(&[address]);
        let _ = families.listener.refused.remove_label_values(&[address, "address"]);
        let _ = families.listener.idle_closed.remove_label_values(&[address]);
        for end in Handshake::ALL {
            let _ = families.listener.tls_handshakes.remove_label_values(&[address, end.label()]);
        }
    }

    /// A TLS handshake came to its end.
    pub(crate) fn handshake(&self, end: Handshake) {
        self.handshakes[end as usize].inc();
    }
}

/// Counts requests as clients see them, whatever answered.
#[derive(Debug)]
pub(crate) struct HttpMetrics {
    http1: StatusCounters,
    http2: StatusCounters,
    failures: CauseCounters,
    http2_ended: [IntCounter; Ended::ALL.len()],
    sent: IntCounter,
    received: IntCounter,
}

impl HttpMetrics {
    pub(super) fn new(families: &Families) -> Self {
        Self {
            http1: StatusCounters::new(&families.http.requests, &["http/1.1"]),
            http2: StatusCounters::new(&families.http.requests, &["http/2"]),
            failures: CauseCounters::new(&families.http.failures, &[], &Cause::ALL),
            http2_ended: Ended::ALL.map(|reason| families.http.http2_ended.with_label_values(&[reason.label()])),
            sent: families.http.sent_bytes.clone(),
            received: families.http.received_bytes.clone(),
        }
    }

    /// A request is over; 499 if its client had gone.
    pub(crate) fn finished(&self, version: Version, status: u16) {
        match version {
            Version::Http1 => self.http1.inc(status),
            Version::Http2 => self.http2.inc(status),
        }
    }

    /// A request failed, before or after it was routed.
    pub(crate) fn failed(&self, cause: Cause) {
        self.failures.inc(cause);
    }

    /// An HTTP/2 connection was ended for what its client did.
    pub(crate) fn http2_ended(&self, reason: Ended) {
        self.http2_ended[reason as usize].inc();
    }

    /// Bytes of response bodies handed to clients.
    pub(crate) fn sent(&self, bytes: u64) {
        self.sent.inc_by(bytes);
    }

    /// Bytes of request bodies read from clients.
    pub(crate) fn received(&self, bytes: u64) {
        self.received.inc_by(bytes);
    }
}

/// Counts requests answered from static files.
#[derive(Debug)]
pub(crate) struct FileMetrics {
    requests: StatusCounters,
    sent: IntCounter,
    /// Times that the disk was asked what is at a path.
    pub(crate) looks: IntCounter,
    /// Bytes in memory.
    pub(crate) kept: IntGauge,
}

impl FileMetrics {
    pub(super) fn new(families: &Families) -> Self {
        Self {
            requests: StatusCounters::new(&families.body.files_requests, &[]),
            sent: families.body.files_sent_bytes.clone(),
            looks: families.body.files_looks.clone(),
            kept: families.body.files_cache_bytes.clone(),
        }
    }

    /// A request was answered.
    pub(crate) fn finished(&self, status: u16) {
        self.requests.inc(status);
    }

    /// Bytes of files handed to clients.
    pub(crate) fn sent(&self, bytes: u64) {
        self.sent.inc_by(bytes);
    }
}
