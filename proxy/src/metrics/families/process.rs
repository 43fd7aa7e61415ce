//! What there is to count of the proxy itself: its configuration, certificates, logs and process.

use prometheus::{Counter, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry};

use super::register::{counter, counters, gauge, gauges, register};

const LOG: &[&str] = &["log"];

#[derive(Debug)]
pub(in crate::metrics) struct Process {
    pub(in crate::metrics) certificate_expiry: IntGaugeVec,
    pub(in crate::metrics) certificate_reloads: IntCounterVec,
    pub(in crate::metrics) certificate_reload_failed: IntGauge,
    pub(in crate::metrics) certificate_last_reload_success: IntGauge,
    pub(in crate::metrics) build_info: IntGaugeVec,
    pub(in crate::metrics) config_reloads: IntCounterVec,
    pub(in crate::metrics) config_last_reload_success: IntGauge,
    pub(in crate::metrics) supervisor_connected: IntGauge,
    pub(in crate::metrics) log_dropped: IntCounter,
    pub(in crate::metrics) cpu: Counter,
    pub(in crate::metrics) log_failed: IntCounterVec,
    pub(in crate::metrics) log_rotations: IntCounterVec,
    pub(in crate::metrics) resident_memory: IntGauge,
    pub(in crate::metrics) start_time: IntGauge,
}

impl Process {
    pub(super) fn new(r: &Registry) -> Self {
        Self {
            certificate_expiry: gauges(
                r,
                "tidegate_certificate_expiry_timestamp_seconds",
                "End of a certificate's validity, in seconds since 1970.",
                &["source", "name"],
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
            log_dropped: counter(
                r,
                "tidegate_log_dropped_total",
                "Log lines dropped because the log could not be written fast enough.",
            ),
            cpu: register(r, Counter::new("tidegate_process_cpu_seconds_total", "Processor time of the proxy.")),
            log_failed: counters(
                r,
                "tidegate_log_failed_total",
                "Log lines lost because a log file could not be written.",
                LOG,
            ),
            log_rotations: counters(r, "tidegate_log_rotations_total", "Log files set aside.", LOG),
            resident_memory: gauge(r, "tidegate_process_resident_memory_bytes", "Resident memory of the proxy."),
            start_time: gauge(
                r,
                "tidegate_process_start_time_seconds",
                "When the proxy started, in seconds since 1970.",
            ),
        }
    }
}
