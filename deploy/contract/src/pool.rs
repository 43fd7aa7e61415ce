//! The state of the apps and their workers, as the app server tells it to the proxy and the command.

use serde::{Deserialize, Serialize};

/// Every app of the site.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolState {
    /// In the site file's order.
    pub apps: Vec<AppState>,
}

/// One app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppState {
    /// Its name.
    pub name: String,
    /// Whether requests may wait for it.
    pub phase: AppPhase,
    /// Why it failed, for operators (never for clients).
    pub detail: Option<String>,
    /// Its workers, draining ones included.
    pub workers: Vec<WorkerState>,
    /// Restarts since the app server started, by reason.
    pub restarts: Vec<(RestartReason, u64)>,
}

/// Whether an app can be expected to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AppPhase {
    /// No worker is ready yet; requests wait.
    Starting,
    /// At least one worker is ready, or a replacement is on its way; requests wait if need be.
    Ready,
    /// The app failed to start; requests are answered 503 at once.
    Failed,
    /// The app server shuts down; requests are answered 503 at once.
    Stopping,
}

/// A process's generation within its app; 1 is the first process ever started for it.
pub type Generation = u64;

/// One worker process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerState {
    /// Slot number: the metric label `worker`.
    pub slot: u32,
    /// Which process in that slot.
    pub generation: Generation,
    /// Where it listens, as `tidegate_host::Endpoint` displays it.
    pub endpoint: String,
    /// How many requests it takes at once.
    pub threads_max: u32,
    /// Whether it may be given requests.
    pub phase: WorkerPhase,
    /// The serving process (on Windows not always the one that was started).
    pub pid: u32,
    /// Threads that run a request, by the worker's last heartbeat.
    pub threads_busy: u32,
    /// Threads there are, by the worker's last heartbeat.
    pub threads: u32,
    /// Memory of the serving process in RAM, at its last heartbeat; 0 while unknown.
    pub memory_bytes: u64,
    /// Processor time of the serving process since its start, in milliseconds, at its last
    /// heartbeat.
    pub cpu_ms: u64,
    /// Its Python's version, such as `3.13.0`; empty until it has said so.
    pub python: String,
}

/// What a worker process is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerPhase {
    /// Importing the app.
    Starting,
    /// Takes requests.
    Ready,
    /// Missed its heartbeat; gets no request until it is heard again.
    Unresponsive,
    /// Finishes what it has and ends.
    Draining,
}

/// Why a worker was replaced: a metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestartReason {
    /// The process ended by itself.
    Died,
    /// A request in it timed out and its thread was interrupted or is stuck.
    Timeout,
    /// No heartbeat: the process is stopped, or something holds the GIL.
    Frozen,
    /// It did not become ready within `start_timeout`.
    StartTimeout,
    /// The app could not be imported.
    ImportFailed,
    /// Ready otherwise, but a warm-up request failed.
    WarmUpFailed,
    /// Replaced on purpose by a reload.
    Reload,
    /// Recycled: it had served `recycle.requests`.
    Requests,
    /// Recycled: it had lived for `recycle.lifetime`.
    Lifetime,
    /// Recycled: it had grown beyond `recycle.memory`.
    Memory,
    /// A thread was interrupted because the client of its request had gone.
    ClientGone,
}

impl RestartReason {
    /// Every reason, for metrics that show zero before the first restart.
    pub const ALL: [Self; 11] = [
        Self::Died,
        Self::Timeout,
        Self::Frozen,
        Self::StartTimeout,
        Self::ImportFailed,
        Self::WarmUpFailed,
        Self::Reload,
        Self::Requests,
        Self::Lifetime,
        Self::Memory,
        Self::ClientGone,
    ];

    /// The metric label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Died => "died",
            Self::Timeout => "timeout",
            Self::Frozen => "frozen",
            Self::StartTimeout => "start_timeout",
            Self::ImportFailed => "import_failed",
            Self::WarmUpFailed => "warm_up_failed",
            Self::Reload => "reload",
            Self::Requests => "requests",
            Self::Lifetime => "lifetime",
            Self::Memory => "memory",
            Self::ClientGone => "client_gone",
        }
    }
}
