//! The checked configuration: what the rest of Tidegate sees. Only [`crate::load`] makes it, so
//! paths are absolute, durations and sizes parsed, and every route's app exists.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

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
    /// Virtual hosts, in the file's order.
    pub hosts: Vec<VirtualHost>,
    /// Apps, in the file's order.
    pub apps: Vec<App>,
    /// Limits towards clients.
    pub limits: Limits,
    /// Addresses whose X-Forwarded-* and Forwarded headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Metrics listener, unless switched off.
    pub metrics: Option<SocketAddr>,
    /// Logging.
    pub log: Log,
}

/// A listening socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Address and port. `[::]` also takes IPv4.
    pub address: SocketAddr,
    /// What is spoken on it.
    pub protocol: Protocol,
}

/// What a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// TLS with HTTP/1.1 and HTTP/2.
    Https,
    /// Plain HTTP/1.1, served like HTTPS.
    Http,
    /// Plain HTTP/1.1 that answers 308 to the same URL on this HTTPS port.
    Redirect {
        /// The port named in the redirect's target; 443 is left out of the URL. 0 where the system
        /// chooses the port of the first https listener: then it is the one that was bound.
        https_port: u16,
    },
}

/// A certificate chain and its key, PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// A virtual host: names and routes.
#[derive(Debug, Clone, PartialEq)]
pub struct VirtualHost {
    /// Lower-case names without port: exact (`shop.example`), wildcard (`*.shop.example`, one
    /// label), an IP address (IPv6 without brackets) or `*` for any other.
    pub names: Vec<String>,
    /// Longest prefix first.
    pub routes: Vec<Route>,
}

/// A path prefix and what answers it.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// Starts with `/`. Matches at segment boundaries: `/static` matches `/static` and
    /// `/static/a`, not `/statics`. Stored without a slash at its end, so `/` is empty.
    pub prefix: String,
    /// What answers.
    pub target: Target,
}

/// What answers a route.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// Files below a directory.
    Files(Files),
    /// A WSGI app.
    App(AppRoute),
}

/// A route to static files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The directory, absolute.
    pub root: PathBuf,
    /// Name of the file served for a directory.
    pub index: Option<String>,
    /// Cache-Control of every file, if set.
    pub cache_control: Option<String>,
}

/// A route to an app.
#[derive(Debug, Clone, PartialEq)]
pub struct AppRoute {
    /// The app's name; it exists in [`Site::apps`].
    pub app: Arc<str>,
    /// From dispatch to the response head: the route's own, or the app's.
    pub request_timeout: Duration,
    /// Largest request body in bytes: the route's own, or the limit of all.
    pub max_body: u64,
    /// Whether the prefix becomes SCRIPT_NAME (`mount: on`, the default) or stays in PATH_INFO.
    pub mount: bool,
    /// Whether a worker gets a request when all of it is here, and is free when its response is.
    pub buffering: bool,
}

/// A WSGI application and its workers.
#[derive(Debug, Clone, PartialEq)]
pub struct App {
    /// `[a-z0-9-]{1,32}`.
    pub name: Arc<str>,
    /// `module:callable`.
    pub wsgi: String,
    /// Working directory, absolute; first on `sys.path`.
    pub directory: PathBuf,
    /// The interpreter.
    pub python: Python,
    /// Worker processes.
    pub processes: u32,
    /// When a worker is replaced although nothing is wrong with it.
    pub recycle: Recycle,
    /// How a worker is replaced.
    pub replace: Replace,
    /// Memory that a worker can have at most, in bytes; it gets no more from the system.
    pub memory_limit: Option<u64>,
    /// Paths that have to answer before a worker counts as ready, in this order.
    pub warm_up: Vec<String>,
    /// Threads of each.
    pub threads: Threads,
    /// Environment of the workers, from `environment_file` and `environment` (which wins). Holds
    /// secrets: never log an `App` or a [`Site`] with `{:?}`.
    pub environment: BTreeMap<String, String>,
    /// From dispatch to the response head.
    pub request_timeout: Duration,
    /// Between two chunks of a response.
    pub stream_idle_timeout: Duration,
    /// How long an interrupted thread may take to come back.
    pub timeout_grace: Duration,
    /// Status of a timed-out request: 502, or 504 where preferred.
    pub timeout_status: u16,
    /// How long a worker may take to import the app.
    pub start_timeout: Duration,
    /// How long a stopping or replaced worker may finish what it has.
    pub drain_timeout: Duration,
    /// How often a worker says that it is alive.
    pub heartbeat: Duration,
    /// Silence after which a worker is replaced.
    pub heartbeat_timeout: Duration,
    /// Admission queue.
    pub queue: Queue,
    /// Age from which on a request is logged, with its Python stack.
    pub slow_request: Option<Duration>,
    /// Whether the app's breaches of PEP 3333 are logged that would pass otherwise.
    pub validate: bool,
    /// Whether an exception tells the app that the client of a running request has gone.
    pub cancel_when_client_gone: bool,
}

/// Where an app's Python comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Python {
    /// `.venv`, `venv` or `env` in the app's directory, else `python3` or `python` on the PATH.
    Find,
    /// This interpreter, or the interpreter of this virtualenv directory.
    At(PathBuf),
}

/// When a worker is replaced although nothing is wrong with it. Each figure gets a jitter of a tenth for
/// each process, and one worker of an app is recycled at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recycle {
    /// After so many requests.
    pub requests: Option<u64>,
    /// After so long.
    pub lifetime: Option<Duration>,
    /// When it takes so many bytes of memory.
    pub memory: Option<u64>,
}

/// How a worker is replaced, by recycling, after a timeout, and by a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replace {
    /// The replacement is ready before the old process drains.
    Overlap,
    /// The old process drains and ends before the new one starts; requests wait meanwhile. For apps
    /// that hold what only one process can have: a serial port, a lock.
    StopFirst,
}

/// How many threads a worker has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threads {
    /// Kept even when idle.
    pub min: u32,
    /// At most: the worker's capacity.
    pub max: u32,
}

/// An app's admission queue in the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queue {
    /// Requests that may wait.
    pub size: usize,
    /// How long one may wait.
    pub timeout: Duration,
}

/// Limits towards clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections over all listeners; above it the listeners stop accepting.
    pub connections: usize,
    /// For a TLS handshake.
    pub handshake_timeout: Duration,
    /// For a whole request header.
    pub header_timeout: Duration,
    /// Size of a request header in bytes.
    pub header_size: usize,
    /// Number of header fields.
    pub header_fields: usize,
    /// Idle time between two requests.
    pub keep_alive: Duration,
    /// Between two reads of a request body, and for each write to the client.
    pub client_timeout: Duration,
    /// Size of a request body in bytes.
    pub body_size: u64,
    /// Concurrent streams of an HTTP/2 connection.
    pub http2_streams: u32,
    /// How long a stopping proxy finishes requests.
    pub drain_timeout: Duration,
    /// What bodies may take while they wait for a slow client or a busy app.
    pub buffer: BufferLimits,
}

/// Where bodies wait, and how much of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BufferLimits {
    /// Bytes of one body in memory; what is more goes to a file.
    pub memory: usize,
    /// Bytes of all bodies in files; 0 for memory alone.
    pub disk: u64,
    /// Bytes of one response in its file; above it the app waits for its client.
    pub response: u64,
    /// Directory of the files, absolute.
    pub directory: PathBuf,
}

/// Logging of both processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Least severe level that is written.
    pub level: Level,
    /// One line per request.
    pub access: bool,
    /// Text for people or JSON for machines.
    pub format: LogFormat,
}

/// Severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Faults.
    Error,
    /// And what went wrong but was handled.
    Warn,
    /// And what an operator wants to know.
    Info,
    /// And clients' mistakes.
    Debug,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// A JSON object a line.
    Json,
}
