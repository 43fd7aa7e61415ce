//! What the pair serves: the proxy's own report, and everything that `tidegate status` shows.

use serde::{Deserialize, Serialize};

use crate::{MaintenanceState, PoolState};

/// What the proxy serves, for the start-up report and `tidegate status`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyReport {
    /// Process id.
    pub pid: u32,
    /// Version.
    pub version: String,
    /// Bound listeners.
    pub listeners: Vec<ListenerReport>,
    /// Loaded certificates.
    pub certificates: Vec<CertificateReport>,
    /// Address of the metrics listener, if there is one.
    pub metrics: Option<String>,
    /// Lower-case hexadecimal SHA-256 of the site file that it serves by.
    pub digest: String,
}

/// A bound listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerReport {
    /// Address and port, with the real port where 0 was configured.
    pub address: String,
    /// A URL to try, such as `https://localhost:8443/`.
    pub url: String,
    /// Whether it terminates TLS.
    pub tls: bool,
    /// Whether it only redirects to HTTPS.
    pub redirects: bool,
}

/// A loaded certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateReport {
    /// Where it comes from: a path, or `self-signed: path`.
    pub source: String,
    /// Names it covers.
    pub names: Vec<String>,
    /// End of validity, RFC 3339.
    pub not_after: String,
    /// Whether it is the self-signed development certificate.
    pub self_signed: bool,
}

/// Everything `tidegate status` shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReport {
    /// The app server's process id.
    pub pid: u32,
    /// The app server's version.
    pub version: String,
    /// The site file.
    pub site: String,
    /// Apps and workers.
    pub pool: PoolState,
    /// The connected proxy.
    pub proxy: Option<ProxyReport>,
    /// What is closed for maintenance, by the command or by the site file.
    pub maintenance: MaintenanceState,
}
