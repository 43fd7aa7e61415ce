//! The checked configuration: what the rest of Tidegate sees. Only [`crate::load`] makes it, so
//! paths are absolute, durations and sizes parsed, and every route's app exists.

mod app;
mod basic_auth;
mod compress;
mod cors;
mod error_pages;
mod files;
mod host;
mod limits;
mod listener;
mod log;
mod maintenance;
mod priority;
mod redirect;
mod rules;
mod traffic;

use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;

pub use self::app::{App, Python, Queue, Recycle, Replace, Threads};
pub use self::basic_auth::{BasicAuth, PasswordHash};
pub use self::compress::{Compress, Compression, CompressionLevel, ContentCoding, MediaPattern};
pub use self::cors::{Cors, Origins, RequestFields};
pub use self::error_pages::{ErrorPage, ErrorPages, PageForm, PagePiece, Statuses};
pub use self::files::{CacheRule, Files, Names};
pub use self::host::{AppRoute, Mount, Route, Target, VirtualHost};
pub use self::limits::{BufferLimits, Limits};
pub use self::listener::{
    CertificateFiles, CertificateSource, ClientCertificateMode, ClientCertificates, Listener, PfxPassword, Protocol,
    StorePick, Tls, TlsProfile,
};
pub use self::log::{AccessFormat, AccessLog, AccessTo, HiddenQuery, Level, Log, LogFormat, Rotate};
pub use self::maintenance::Maintenance;
pub use self::priority::Priority;
pub use self::redirect::{Destination, Expression, Part, Pattern, Redirect, Redirection, Rewrite};
pub use self::rules::{HeaderEdits, Headers, Rules};
pub use self::traffic::{Concurrency, LimitKey, RateLimit, RateLimits};

/// A whole site file, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Site {
    /// Absolute path of the file.
    pub file: PathBuf,
    /// Lower-case hexadecimal SHA-256 of the file's bytes.
    pub digest: String,
    /// Where Tidegate keeps what it makes itself: the development certificate.
    pub state_dir: PathBuf,
    /// Where the pair meets: the directory of Unix sockets (short, 0700), unused on Windows.
    pub runtime_dir: PathBuf,
    /// Distinguishes this site's endpoints from other sites' on the host: 16 hexadecimal digits
    /// of the hash of `file`.
    pub instance: String,
    /// Listeners, in the file's order.
    pub listeners: Vec<Listener>,
    /// Certificates, in the file's order; the first is the default. Empty: the self-signed
    /// development certificate is used.
    pub certificates: Vec<CertificateFiles>,
    /// TLS of every https listener.
    pub tls: Tls,
    /// Virtual hosts, in the file's order.
    pub hosts: Vec<VirtualHost>,
    /// Apps, in the file's order.
    pub apps: Vec<App>,
    /// Limits towards clients.
    pub limits: Limits,
    /// Addresses whose X-Forwarded-* and Forwarded headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether every request to an app belongs to a trace.
    pub trace_context: bool,
    /// Metrics listener, unless switched off.
    pub metrics: Option<SocketAddr>,
    /// Logging.
    pub log: Log,
}
