//! What there is to count of bodies: static files, buffers, compression.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Registry};

use super::register::{counter, counters, gauge};

#[derive(Debug)]
pub(in crate::metrics) struct Body {
    pub(in crate::metrics) files_requests: IntCounterVec,
    pub(in crate::metrics) files_sent_bytes: IntCounter,
    pub(in crate::metrics) files_looks: IntCounter,
    pub(in crate::metrics) files_cache_bytes: IntGauge,
    pub(in crate::metrics) buffer_memory_bytes: IntGauge,
    pub(in crate::metrics) buffer_disk_bytes: IntGauge,
    pub(in crate::metrics) buffer_files: IntCounter,
    pub(in crate::metrics) buffer_rejected: IntCounter,
    pub(in crate::metrics) compression_read_bytes: IntCounter,
    pub(in crate::metrics) compression_written_bytes: IntCounter,
    pub(in crate::metrics) compression_refused: IntCounter,
}

impl Body {
    pub(super) fn new(r: &Registry) -> Self {
        Self {
            files_requests: counters(
                r,
                "tidegate_files_requests_total",
                "Requests answered from static files, by class of status.",
                &["status"],
            ),
            files_sent_bytes: counter(r, "tidegate_files_sent_bytes_total", "Bytes of static files sent to clients."),
            files_looks: counter(
                r,
                "tidegate_files_looks_total",
                "Times that the disk was asked for a static file; other requests were answered from memory.",
            ),
            files_cache_bytes: gauge(r, "tidegate_files_cache_bytes", "Bytes of static files kept in memory."),
            buffer_memory_bytes: gauge(
                r,
                "tidegate_buffer_memory_bytes",
                "Bytes of bodies that wait in the proxy's memory for a client or a worker.",
            ),
            buffer_disk_bytes: gauge(
                r,
                "tidegate_buffer_disk_bytes",
                "Bytes of bodies that wait in the proxy's files for a client or a worker.",
            ),
            buffer_files: counter(r, "tidegate_buffer_files_total", "Files made for bodies over limits.buffer_memory."),
            buffer_rejected: counter(
                r,
                "tidegate_buffer_rejected_total",
                "Times that a body found no room on the disk.",
            ),
            compression_read_bytes: counter(
                r,
                "tidegate_compression_read_bytes_total",
                "Bytes of response bodies that were compressed on the way.",
            ),
            compression_written_bytes: counter(
                r,
                "tidegate_compression_written_bytes_total",
                "Bytes that they were compressed to.",
            ),
            compression_refused: counter(
                r,
                "tidegate_compression_refused_total",
                "Responses sent as they are because as many as may be were being compressed.",
            ),
        }
    }
}
