//! Checked: apps and their workers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

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
    /// secrets: never log an `App` or a [`Site`](super::Site) with `{:?}`.
    pub environment: BTreeMap<String, String>,
    /// The file with the secret part of them.
    pub environment_file: Option<PathBuf>,
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
