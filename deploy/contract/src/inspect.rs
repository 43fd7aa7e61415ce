//! What workers are doing right now: the answer to `Inspect`, for `tidegate top`.

use serde::{Deserialize, Serialize};

use crate::{StatusReport, WorkerState};

/// A line of Python.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// The source file, as Python names it.
    pub file: String,
    /// The line.
    pub line: u32,
    /// The function or method.
    pub function: String,
}

/// A request that a worker has taken and not finished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InFlight {
    /// The request id; empty for a request that came past the proxy.
    pub request_id: String,
    /// The method.
    pub method: String,
    /// The raw path, without its query.
    pub path: String,
    /// Milliseconds since the request arrived at the worker.
    pub age_ms: u64,
    /// The thread that runs it, such as `tidegate-3`; nothing while it waits for one.
    pub thread: Option<String>,
    /// Whether nobody waits for its response any more: it timed out, or its client has gone.
    pub abandoned: bool,
    /// The line that the thread is in, unless Python could not be asked.
    pub at: Option<Frame>,
    /// The innermost line within the app's directory, if `at` is in a library.
    pub app_at: Option<Frame>,
    /// The whole stack, if it was asked for.
    pub stack: Option<String>,
}

/// What one worker is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspection {
    /// Milliseconds until Python's interpreter lock was free for the question; nothing if it was not within a second.
    pub gil_wait_ms: Option<u64>,
    /// The requests in it, the oldest first.
    pub requests: Vec<InFlight>,
    /// How many more there are than fit into a message.
    pub left_out: u32,
}

/// One worker's part of the answer to [`crate::ToServer::Inspect`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerReport {
    /// The app.
    pub app: String,
    /// The worker.
    pub worker: WorkerState,
    /// What it said.
    pub inspection: Option<Inspection>,
    /// Why it said nothing.
    pub silence: Option<String>,
}

/// Everything that `tidegate top` shows, as its `--json` prints it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InspectReport {
    /// The site.
    pub status: StatusReport,
    /// Every worker, in the order of the apps.
    pub workers: Vec<WorkerReport>,
}
