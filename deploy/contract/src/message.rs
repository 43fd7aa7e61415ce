//! The messages of the control channel (proxy and command <-> app server) and of the worker
//! channel (worker <-> app server). Both are lines of JSON, see [`crate::Lines`].

use serde::{Deserialize, Serialize};

use crate::{Inspection, MaintenanceOrder, MaintenanceState, PoolState, ProxyReport, StatusReport, WorkerReport};

/// Who opened a control channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The proxy: receives the pool's state.
    Proxy,
    /// The `tidegate` command: asks and gets answers.
    Command,
}

/// From proxy or command to the app server. `Hello` is first, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum ToServer {
    /// Opens the channel.
    Hello {
        /// [`crate::PROTOCOL`].
        protocol: u32,
        /// The sender's version, for messages only.
        version: String,
        /// Who speaks.
        role: Role,
    },
    /// Proxy: what it serves, after start and after each reload.
    Report(ProxyReport),
    /// Proxy: no request is dispatched to this draining worker any more.
    Drained {
        /// The app.
        app: String,
        /// The worker's generation.
        generation: u64,
    },
    /// Proxy: answer to [`FromServer::Prepare`]. On success the proxy waits for `Commit` or
    /// `Abort` with the new configuration loaded beside the running one.
    Prepared {
        /// The reload's number.
        reload: u64,
        /// Why it cannot be loaded; nothing if it can.
        error: Option<String>,
    },
    /// Either: asks for a reload. A command gets `Progress` lines and `Done`.
    Reload,
    /// Command: asks for a [`StatusReport`].
    Status,
    /// Command: closes hosts for maintenance, or opens them. The answer is `Done`.
    Maintenance(MaintenanceOrder),
    /// Command: asks to import every app of the site file as it is now, in workers started for nothing else. One
    /// [`FromServer::Progress`] for each app, then [`FromServer::Imported`].
    CheckImports,
    /// Command: asks what every worker is doing: one [`FromServer::Inspected`] for each, then [`FromServer::Status`].
    Inspect {
        /// Whether with the whole stack of each request.
        stacks: bool,
    },
}

/// From the app server to proxy or command. `Hello` is first, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum FromServer {
    /// Answers the peer's hello; on a mismatch of protocols it is the last message.
    Hello {
        /// [`crate::PROTOCOL`].
        protocol: u32,
        /// The app server's version.
        version: String,
    },
    /// Proxy: every app and worker, sent whole after hello and whenever something changed.
    Pool(PoolState),
    /// Proxy: a thread whose request was cut short (timed out, abandoned) is back.
    SlotBack {
        /// The app.
        app: String,
        /// The worker's generation.
        generation: u64,
        /// [`crate::Dispatch::number`].
        dispatch: u64,
    },
    /// Proxy: what is closed for maintenance, sent after hello and whenever it changes.
    Maintenance(MaintenanceState),
    /// Proxy: load the site file whose SHA-256 is `digest`, beside the running one.
    Prepare {
        /// The reload's number.
        reload: u64,
        /// Lower-case hexadecimal SHA-256 of the site file's bytes.
        digest: String,
    },
    /// Proxy: switch to the configuration that was prepared, and to this pool, at once.
    Commit {
        /// The reload's number.
        reload: u64,
        /// New workers ready, old ones draining.
        pool: PoolState,
    },
    /// Proxy: forget the configuration that was prepared.
    Abort {
        /// The reload's number.
        reload: u64,
    },
    /// Command: a line to show.
    Progress {
        /// The line.
        text: String,
    },
    /// Command: the answer to [`ToServer::Status`].
    Status(StatusReport),
    /// Command: the end of the answer to [`ToServer::CheckImports`].
    Imported {
        /// The account under which apps run.
        account: String,
        /// Whether all of them could be imported; false as well if the site file is wrong.
        good: bool,
    },
    /// Command: a worker's part of the answer to [`ToServer::Inspect`].
    Inspected(WorkerReport),
    /// Command: the end of a reload, or of a [`ToServer::Maintenance`].
    Done {
        /// Why nothing was changed; nothing on success.
        error: Option<String>,
    },
}

/// From the app server to a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum ToWorker {
    /// Take no new connection, finish what runs, then exit with 0.
    Stop {
        /// Milliseconds until running requests are given up.
        drain_ms: u64,
    },
    /// Say what runs, within two seconds.
    Inspect {
        /// Returned in the answer.
        ask: u64,
        /// Whether with the whole stack of each request.
        stacks: bool,
    },
}

/// From a worker to the app server. `Hello` is first, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum FromWorker {
    /// Opens the channel, before the app is imported.
    Hello {
        /// [`crate::PROTOCOL`].
        protocol: u32,
        /// From [`crate::Launch`].
        token: String,
        /// The process that serves.
        pid: u32,
        /// `3.13.0`.
        python: String,
        /// `sys.executable`.
        executable: String,
    },
    /// The app is imported and the endpoint accepts connections.
    Ready,
    /// The app could not be imported; the process ends with 1.
    ImportFailed {
        /// One line: type and text of the exception.
        error: String,
        /// The traceback.
        traceback: String,
    },
    /// Sent every `heartbeat_ms` by a thread that holds the GIL.
    Beat {
        /// Threads that run a request.
        busy: u32,
        /// Threads there are.
        threads: u32,
        /// Requests it has finished since its start.
        requests: u64,
    },
    /// A request passed its deadline: one log record.
    TimedOut {
        /// The request id.
        request_id: String,
        /// The method.
        method: String,
        /// The raw path, without its query.
        path: String,
        /// Milliseconds since the request arrived at the worker.
        age_ms: u64,
        /// The Python stack of its thread, or nothing with the reason in `no_stack`.
        stack: Option<String>,
        /// Why there is no stack.
        no_stack: Option<String>,
    },
    /// The thread of a request that was cut short is back.
    SlotBack {
        /// [`crate::Dispatch::number`].
        dispatch: u64,
    },
    /// A thread was interrupted (`returned`), or did not come back within the grace period:
    /// either way this process is to be replaced.
    Condemned {
        /// Whether the thread came back.
        returned: bool,
        /// Why it was interrupted.
        #[serde(default)]
        because: Interruption,
    },
    /// A request has reached `slow_request_ms`; it goes on.
    Slow {
        /// The request id.
        request_id: String,
        /// The method.
        method: String,
        /// The raw path, without its query.
        path: String,
        /// Milliseconds since the request arrived at the worker.
        age_ms: u64,
        /// The Python stack of its thread, or nothing with the reason in `no_stack`.
        stack: Option<String>,
        /// Why there is no stack.
        no_stack: Option<String>,
    },
    /// The app has broken a rule of PEP 3333, and was served all the same.
    Violation {
        /// The id of the request in which it did.
        request_id: String,
        /// The method.
        method: String,
        /// The raw path, without its query.
        path: String,
        /// What it did, and what the rule is.
        violation: String,
    },
    /// Answers [`ToWorker::Inspect`].
    Inspected {
        /// From the question.
        ask: u64,
        /// The answer.
        inspection: Inspection,
    },
}

/// Why a thread was interrupted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interruption {
    /// Its request passed its deadline.
    #[default]
    Timeout,
    /// The client of its request has gone.
    ClientGone,
}
