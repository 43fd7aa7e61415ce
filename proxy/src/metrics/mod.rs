//! Everything Tidegate counts, and the loopback listener that shows it to Prometheus.
//!
//! Handles ([`AppMetrics`], [`WorkerMetrics`], [`ListenerMetrics`]) are looked up when the
//! configuration or the pool changes and kept by whoever counts; counting itself is an atomic
//! addition. Nothing here decides anything, and nothing is global: two `Metrics` never meet.
//! docs/metrics.md explains every family to operators; a test compares the two.

mod app;
mod families;
mod held;
mod listener;
mod logs;
mod proxy;
mod series;
mod worker;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use prometheus::{Encoder as _, IntCounter, IntGauge, TextEncoder};
use tidegate_log::Tally;

pub(crate) use app::AppMetrics;
pub(crate) use held::Held;
pub(crate) use listener::{AppReadiness, Readiness, serve};
pub(crate) use proxy::{Ended, Handshake, ListenerMetrics, Version};
pub(crate) use worker::WorkerMetrics;

use families::Families;
use logs::LogMetrics;
pub(crate) use proxy::FileMetrics;
use proxy::HttpMetrics;

/// When a certificate ends, for [`Metrics::set_certificates`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CertificateExpiry {
    /// The file it comes from.
    pub(crate) source: String,
    /// The first name it covers.
    pub(crate) name: String,
    /// End of validity in seconds since 1970.
    pub(crate) not_after: i64,
}

/// Whether a host is closed for maintenance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostMaintenance {
    /// The first of its names.
    pub(crate) host: String,
    /// Whether visitors are turned away.
    pub(crate) is_closed: bool,
}

/// Counts bodies that wait in the proxy.
#[derive(Debug)]
pub(crate) struct BufferMetrics {
    /// Bytes in memory.
    pub(crate) memory: IntGauge,
    /// Bytes in files.
    pub(crate) disk: IntGauge,
    /// Files made.
    pub(crate) files: IntCounter,
    /// Times that there was no room on the disk.
    pub(crate) rejected: IntCounter,
}

/// Counts requests to routes that ask for a password.
#[derive(Debug)]
pub(crate) struct PasswordMetrics {
    /// There was none.
    pub(crate) missing: IntCounter,
    /// It was wrong, or the user unknown.
    pub(crate) wrong: IntCounter,
    /// It was checked and right.
    pub(crate) right: IntCounter,
    /// It had been right a moment ago.
    pub(crate) remembered: IntCounter,
}

impl PasswordMetrics {
    fn new(counter: impl Fn(&str) -> IntCounter) -> Self {
        Self {
            missing: counter("missing"),
            wrong: counter("wrong"),
            right: counter("right"),
            remembered: counter("remembered"),
        }
    }

    /// Counts that nobody sees.
    #[cfg(test)]
    pub(crate) fn unregistered() -> Self {
        Self::new(|label| IntCounter::new(label, "a test's").unwrap())
    }
}

/// Counts requests over one limit of the site file.
#[derive(Debug)]
pub(crate) struct LimitMetrics {
    refused: IntCounter,
    counted: IntCounter,
}

impl LimitMetrics {
    /// A request was over the limit; with `dry_run` it was served all the same.
    pub(crate) fn limited(&self, dry_run: bool) {
        if dry_run { &self.counted } else { &self.refused }.inc();
    }
}

/// Every metric of one proxy.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// Requests as clients see them, whatever answered.
    pub(crate) http: HttpMetrics,
    /// Requests answered from static files.
    pub(crate) files: FileMetrics,
    families: Arc<Families>,
    logs: LogMetrics,
    // Locked when configuration or pool change, never while a request is served.
    apps: Mutex<HashMap<String, Arc<AppMetrics>>>,
    listeners: Mutex<HashMap<String, Arc<ListenerMetrics>>>,
}

impl Metrics {
    /// Metrics of a proxy that has just loaded its first configuration.
    pub(crate) fn new(version: &str) -> Arc<Self> {
        let families = Arc::new(Families::new());
        families.process.build_info.with_label_values(&[version]).set(1);
        families.process.start_time.set(now());
        families.process.config_last_reload_success.set(now());
        for result in ["ok", "failed"] {
            families.process.config_reloads.with_label_values(&[result]);
            families.process.certificate_reloads.with_label_values(&[result]);
        }
        Arc::new(Self {
            http: HttpMetrics::new(&families),
            files: FileMetrics::new(&families),
            apps: Mutex::default(),
            listeners: Mutex::default(),
            logs: LogMetrics::new(&families),
            families,
        })
    }

    /// The app's metrics, made at the first call for this name.
    pub(crate) fn app(&self, name: &str) -> Arc<AppMetrics> {
        let mut apps = self.apps.lock();
        if let Some(app) = apps.get(name) {
            return Arc::clone(app);
        }
        let app = Arc::new(AppMetrics::new(&self.families, name));
        apps.insert(name.to_owned(), Arc::clone(&app));
        app
    }

    /// Removes an app that a reload took away, with its workers. Handles still held count on
    /// unseen.
    pub(crate) fn forget_app(&self, name: &str) {
        if let Some(app) = self.apps.lock().remove(name) {
            app.forget();
        }
    }

    /// The metrics of the listener bound to this address, made at the first call.
    pub(crate) fn listener(&self, address: &str) -> Arc<ListenerMetrics> {
        let mut listeners = self.listeners.lock();
        if let Some(listener) = listeners.get(address) {
            return Arc::clone(listener);
        }
        let listener = Arc::new(ListenerMetrics::new(&self.families, address));
        listeners.insert(address.to_owned(), Arc::clone(&listener));
        listener
    }

    /// Removes a listener that a reload took away. Handles still held count on unseen.
    pub(crate) fn forget_listener(&self, address: &str) {
        if self.listeners.lock().remove(address).is_some() {
            ListenerMetrics::forget(&self.families, address);
        }
    }

    /// Counts a look that found changed certificates and loaded them (`true`), or could not.
    pub(crate) fn certificates_reloaded(&self, success: bool) {
        let result = if success { "ok" } else { "failed" };
        self.families.process.certificate_reloads.with_label_values(&[result]).inc();
        self.families.process.certificate_reload_failed.set(i64::from(!success));
    }

    /// The files of certificates are no longer such that they cannot be loaded.
    pub(crate) fn certificates_loadable(&self) {
        self.families.process.certificate_reload_failed.set(0);
    }

    /// Replaces what is known about loaded certificates.
    pub(crate) fn set_certificates<'a>(&self, certificates: impl IntoIterator<Item = &'a CertificateExpiry>) {
        let family = &self.families.process.certificate_expiry;
        family.reset();
        self.families.process.certificate_last_reload_success.set(now());
        self.certificates_loadable();
        for certificate in certificates {
            let labels = [certificate.source.as_str(), certificate.name.as_str()];
            family.with_label_values(&labels).set(certificate.not_after);
        }
    }

    /// Replaces what is known about closed hosts.
    pub(crate) fn set_maintenance(&self, hosts: &[HostMaintenance]) {
        let family = &self.families.http.maintenance;
        family.reset();
        for host in hosts {
            family.with_label_values(&[&host.host]).set(i64::from(host.is_closed));
        }
    }

    /// The metrics of a limit that stands in this place of the site file.
    pub(crate) fn limit(&self, place: &str, limit: &str) -> LimitMetrics {
        let counter = |action| self.families.http.limited_requests.with_label_values(&[place, limit, action]);
        LimitMetrics { refused: counter("refused"), counted: counter("counted") }
    }

    /// Counts what became of passwords.
    pub(crate) fn passwords(&self) -> PasswordMetrics {
        PasswordMetrics::new(|result| self.families.http.passwords.with_label_values(&[result]))
    }

    /// Counts a reload that was committed (`true`) or given up.
    pub(crate) fn reloaded(&self, success: bool) {
        let result = if success { "ok" } else { "failed" };
        self.families.process.config_reloads.with_label_values(&[result]).inc();
        if success {
            self.families.process.config_last_reload_success.set(now());
        }
    }

    /// Whether the control channel to the app server is open.
    pub(crate) fn set_supervisor_connected(&self, connected: bool) {
        self.families.process.supervisor_connected.set(i64::from(connected));
    }

    /// What the buffering of bodies counts.
    pub(crate) fn buffers(&self) -> BufferMetrics {
        let families = &self.families;
        BufferMetrics {
            memory: families.body.buffer_memory_bytes.clone(),
            disk: families.body.buffer_disk_bytes.clone(),
            files: families.body.buffer_files.clone(),
            rejected: families.body.buffer_rejected.clone(),
        }
    }

    /// Bytes of bodies before and after their compression, and bodies for which there was no room.
    pub(crate) fn compression(&self) -> (IntCounter, IntCounter, IntCounter) {
        let families = &self.families;
        (
            families.body.compression_read_bytes.clone(),
            families.body.compression_written_bytes.clone(),
            families.body.compression_refused.clone(),
        )
    }

    /// Counts log lines that were dropped because the log could not be written fast enough.
    pub(crate) fn log_dropped(&self) -> IntCounter {
        self.families.process.log_dropped.clone()
    }

    /// Counts what happens to the access log's file.
    pub(crate) fn access_tally(&self) -> Arc<Tally> {
        self.logs.access()
    }

    /// Everything, in Prometheus' text format 0.0.4. Reads the process's memory and times: call it where
    /// blocking is allowed.
    pub(crate) fn encode(&self) -> prometheus::Result<Vec<u8>> {
        if let Some(bytes) = tidegate_host::resident_memory(std::process::id()) {
            let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
            self.families.process.resident_memory.set(bytes);
        }
        if let Some(time) = tidegate_host::cpu_time(std::process::id()) {
            let counted = self.families.process.cpu.get();
            // Two scrapes at once may read the clock in the other order.
            self.families.process.cpu.inc_by((time.as_secs_f64() - counted).max(0.0));
        }
        self.logs.collect();
        let mut text = Vec::with_capacity(64 << 10);
        TextEncoder::new().encode(&self.families.registry.gather(), &mut text)?;
        Ok(text)
    }
}

fn now() -> i64 {
    // A clock before 1970 shows as 0.
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
