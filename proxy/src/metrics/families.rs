//! The metric families: every name, help text and label, in one place. docs/metrics.md says
//! the same in more words.

use prometheus::core::Collector;
use prometheus::{
    Counter, CounterVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

/// From a page out of a cache to the longest default timeout.
const SECONDS: [f64; 15] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

const BACKEND: &[&str] = &["app", "worker"];
const APP: &[&str] = &["app"];
const LOG: &[&str] = &["log"];

#[derive(Debug)]
pub(super) struct Families {
    pub(super) registry: Registry,
    pub(super) backend_requests: IntCounterVec,
    pub(super) backend_failures: IntCounterVec,
    pub(super) backend_in_flight: IntGaugeVec,
    pub(super) backend_threads_busy: IntGaugeVec,
    pub(super) backend_threads: IntGaugeVec,
    pub(super) backend_threads_max: IntGaugeVec,
    pub(super) backend_up: IntGaugeVec,
    pub(super) backend_memory: IntGaugeVec,
    pub(super) backend_cpu: CounterVec,
    pub(super) backend_connections: IntGaugeVec,
    pub(super) backend_response_seconds: HistogramVec,
    pub(super) backend_restarts: IntCounterVec,
    pub(super) app_failures: IntCounterVec,
    pub(super) app_queue_depth: IntGaugeVec,
    pub(super) app_queue_wait_seconds: HistogramVec,
    pub(super) app_request_seconds: HistogramVec,
    pub(super) app_up: IntGaugeVec,
    pub(super) listener_connections: IntGaugeVec,
    pub(super) listener_accepted: IntCounterVec,
    pub(super) listener_refused: IntCounterVec,
    pub(super) listener_idle_closed: IntCounterVec,
    pub(super) tls_handshakes: IntCounterVec,
    pub(super) http_requests: IntCounterVec,
    pub(super) http_failures: IntCounterVec,
    pub(super) http_sent_bytes: IntCounter,
    pub(super) http_received_bytes: IntCounter,
    pub(super) files_requests: IntCounterVec,
    pub(super) files_sent_bytes: IntCounter,
    pub(super) files_looks: IntCounter,
    pub(super) files_cache_bytes: IntGauge,
    pub(super) buffer_memory_bytes: IntGauge,
    pub(super) buffer_disk_bytes: IntGauge,
    pub(super) buffer_files: IntCounter,
    pub(super) buffer_rejected: IntCounter,
    pub(super) certificate_expiry: IntGaugeVec,
    pub(super) limited_requests: IntCounterVec,
    pub(super) maintenance: IntGaugeVec,
    pub(super) certificate_reloads: IntCounterVec,
    pub(super) certificate_reload_failed: IntGauge,
    pub(super) certificate_last_reload_success: IntGauge,
    pub(super) build_info: IntGaugeVec,
    pub(super) config_reloads: IntCounterVec,
    pub(super) config_last_reload_success: IntGauge,
    pub(super) supervisor_connected: IntGauge,
    pub(super) compression_read_bytes: IntCounter,
    pub(super) compression_written_bytes: IntCounter,
    pub(super) compression_refused: IntCounter,
    pub(super) log_dropped: IntCounter,
    pub(super) http2_ended: IntCounterVec,
    pub(super) passwords: IntCounterVec,
    pub(super) process_cpu: Counter,
    pub(super) log_failed: IntCounterVec,
    pub(super) log_rotations: IntCounterVec,
    pub(super) process_resident_memory: IntGauge,
    pub(super) process_start_time: IntGauge,
}

impl Families {
    pub(super) fn new() -> Self {
        let registry = Registry::new();
        let r = &registry;
        Self {
            backend_requests: counters(
                r,
                "tidegate_backend_requests_total",
                "Responses of a worker by class of status.",
                &["app", "worker", "status"],
            ),
            backend_failures: counters(
                r,
                "tidegate_backend_failures_total",
                "Attempts that failed at a worker, by cause.",
                &["app", "worker", "cause"],
            ),
            backend_in_flight: gauges(
                r,
                "tidegate_backend_in_flight",
                "Requests that hold one of a worker's slots.",
                BACKEND,
            ),
            backend_threads_busy: gauges(
                r,
                "tidegate_backend_threads_busy",
                "Threads of a worker that run a request, by its last heartbeat.",
                BACKEND,
            ),
            backend_threads: gauges(
                r,
                "tidegate_backend_threads",
                "Threads a worker has, by its last heartbeat.",
                BACKEND,
            ),
            backend_threads_max: gauges(
                r,
                "tidegate_backend_threads_max",
                "Threads a worker may have: its capacity.",
                BACKEND,
            ),
            backend_up: gauges(r, "tidegate_backend_up", "1 if a worker takes requests, 0 otherwise.", BACKEND),
            backend_memory: gauges(
                r,
                "tidegate_backend_memory_bytes",
                "Resident memory of a worker, by its last heartbeat.",
                BACKEND,
            ),
            backend_cpu: register(
                r,
                CounterVec::new(
                    Opts::new(
                        "tidegate_backend_cpu_seconds_total",
                        "Processor time of a worker, over its replacements.",
                    ),
                    BACKEND,
                ),
            ),
            backend_connections: gauges(
                r,
                "tidegate_backend_connections",
                "Open local connections to a worker.",
                BACKEND,
            ),
            backend_response_seconds: histograms(
                r,
                "tidegate_backend_response_seconds",
                "Time from dispatch to a worker until its response head.",
                BACKEND,
            ),
            backend_restarts: counters(
                r,
                "tidegate_backend_restarts_total",
                "Workers replaced since the app server started, by reason.",
                &["app", "reason"],
            ),
            app_failures: counters(
                r,
                "tidegate_app_failures_total",
                "Requests for an app that failed, by cause.",
                &["app", "cause"],
            ),
            app_queue_depth: gauges(
                r,
                "tidegate_app_queue_depth",
                "Requests that wait for a free thread, by priority.",
                &["app", "priority"],
            ),
            app_queue_wait_seconds: histograms(
                r,
                "tidegate_app_queue_wait_seconds",
                "Time a dispatched request waited for a free thread.",
                APP,
            ),
            app_request_seconds: histograms(
                r,
                "tidegate_app_request_seconds",
                "Whole duration of a request for an app, as its client saw it.",
                APP,
            ),
            app_up: gauges(r, "tidegate_app_up", "1 if an app has a worker that takes requests, 0 otherwise.", APP),
            listener_connections: gauges(r, "tidegate_listener_connections", "Open client connections.", &["listener"]),
            listener_accepted: counters(
                r,
                "tidegate_listener_accepted_total",
                "Client connections accepted.",
                &["listener"],
            ),
            listener_refused: counters(
                r,
                "tidegate_listener_refused_total",
                "Client connections closed at once, by limit.",
                &["listener", "limit"],
            ),
            listener_idle_closed: counters(
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
            http_requests: counters(
                r,
                "tidegate_http_requests_total",
                "Requests by protocol and class of status.",
                &["protocol", "status"],
            ),
            http_failures: counters(
                r,
                "tidegate_http_failures_total",
                "Requests that failed, by cause, whether routed or not.",
                &["cause"],
            ),
            http_sent_bytes: counter(r, "tidegate_http_sent_bytes_total", "Bytes of response bodies sent to clients."),
            http_received_bytes: counter(
                r,
                "tidegate_http_received_bytes_total",
                "Bytes of request bodies received from clients.",
            ),
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
            certificate_expiry: gauges(
                r,
                "tidegate_certificate_expiry_timestamp_seconds",
                "End of a certificate's validity, in seconds since 1970.",
                &["source", "name"],
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
            certificate_reloads: counters(
                r,
                "tidegate_certificate_reloads_total",
                "Changed certificate files by result.",
                &["result"],
            ),
            certificate_reload_failed: gauge(
                r,
                "tidegate_certificate_reload_failed",
                "1 while certificate files have changed and cannot be loaded, 0 otherwise.",
            ),
            certificate_last_reload_success: gauge(
                r,
                "tidegate_certificate_last_reload_success_timestamp_seconds",
                "When the certificates in use were loaded, in seconds since 1970.",
            ),
            build_info: gauges(r, "tidegate_build_info", "Always 1.", &["version"]),
            config_reloads: counters(
                r,
                "tidegate_config_reloads_total",
                "Reloads of the site file by result.",
                &["result"],
            ),
            config_last_reload_success: gauge(
                r,
                "tidegate_config_last_reload_success_timestamp_seconds",
                "When the running configuration was loaded, in seconds since 1970.",
            ),
            supervisor_connected: gauge(
                r,
                "tidegate_supervisor_connected",
                "1 if the control channel to the app server is open, 0 otherwise.",
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
            log_dropped: counter(
                r,
                "tidegate_log_dropped_total",
                "Log lines dropped because the log could not be written fast enough.",
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
            process_cpu: register(
                r,
                Counter::new("tidegate_process_cpu_seconds_total", "Processor time of the proxy."),
            ),
            log_failed: counters(
                r,
                "tidegate_log_failed_total",
                "Log lines lost because a log file could not be written.",
                LOG,
            ),
            log_rotations: counters(r, "tidegate_log_rotations_total", "Log files set aside.", LOG),
            process_resident_memory: gauge(
                r,
                "tidegate_process_resident_memory_bytes",
                "Resident memory of the proxy.",
            ),
            process_start_time: gauge(
                r,
                "tidegate_process_start_time_seconds",
                "When the proxy started, in seconds since 1970.",
            ),
            registry,
        }
    }
}

fn counters(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    register(registry, IntCounterVec::new(Opts::new(name, help), labels))
}

fn gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    register(registry, IntGaugeVec::new(Opts::new(name, help), labels))
}

fn histograms(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> HistogramVec {
    let options = HistogramOpts::new(name, help).buckets(SECONDS.to_vec());
    register(registry, HistogramVec::new(options, labels))
}

fn counter(registry: &Registry, name: &str, help: &str) -> IntCounter {
    register(registry, IntCounter::new(name, help))
}

fn gauge(registry: &Registry, name: &str, help: &str) -> IntGauge {
    register(registry, IntGauge::new(name, help))
}

#[expect(clippy::expect_used, reason = "names are constants above, and a test makes them all")]
fn register<C: Collector + Clone + 'static>(registry: &Registry, family: prometheus::Result<C>) -> C {
    let family = family.expect("a family's name or labels are not valid");
    registry.register(Box::new(family.clone())).expect("a family is registered twice");
    family
}
