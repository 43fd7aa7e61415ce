//! What the supervisor hands to a worker when it starts it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Environment variable that holds a [`Launch`] as JSON. The worker removes it from
/// `os.environ` before the app is imported.
pub const LAUNCH_VARIABLE: &str = "TIDEGATE_LAUNCH";

/// Everything a worker needs to know. Checked by the supervisor; the worker trusts it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// [`crate::PROTOCOL`] of the supervisor.
    pub protocol: u32,
    /// The app's name.
    pub app: String,
    /// Slot number, 0 to processes - 1.
    pub slot: u32,
    /// Generation: counts the processes started for this app, over all slots.
    pub generation: u64,
    /// `module:callable`; the callable part may be dotted, or end in `()` for a factory.
    pub target: String,
    /// Directory put first on `sys.path` and made the working directory.
    pub directory: PathBuf,
    /// Threads kept even when idle.
    pub threads_min: u32,
    /// Threads at most; the worker's capacity.
    pub threads_max: u32,
    /// Whether other processes serve the same app (`wsgi.multiprocess`).
    pub multiprocess: bool,
    /// How long an interrupted thread may take to come back, in milliseconds.
    pub timeout_grace_ms: u64,
    /// The worker says that it is alive this often, in milliseconds; the message is made by a
    /// thread that holds the GIL.
    pub heartbeat_ms: u64,
    /// Whether people develop the app here: then exceptions are shown in the browser.
    pub development: bool,
    /// Age in milliseconds from which on a request is reported as slow.
    pub slow_request_ms: Option<u64>,
    /// Whether the app's breaches of PEP 3333 are reported that would pass otherwise.
    pub validate: bool,
    /// Whether an exception tells the app that the client of a running request has gone.
    pub cancel_when_client_gone: bool,
    /// Accounts beside the worker's own that may connect to it, as identifiers of the system.
    #[serde(default)]
    pub trusted: Vec<String>,
    /// What to do.
    pub mode: Mode,
}

/// What a worker is started for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "mode")]
pub enum Mode {
    /// Serve the app.
    Serve {
        /// Where to listen, as `tidegate_host::Endpoint` displays it.
        endpoint: String,
        /// The supervisor's worker channel, likewise.
        channel: String,
        /// Proves on the channel that this is the process that was started.
        token: String,
    },
    /// Import the app as `Serve` would, print one [`crate::FromWorker`] line (`ready` or
    /// `import_failed`) on standard output, and exit with 0 or 1.
    Check,
}
