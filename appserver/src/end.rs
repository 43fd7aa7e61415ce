//! How a worker process ended. Made by `worker`, judged by `slots`, logged by `pool`.

use std::fmt;

use tidegate_contract::RestartReason;
use tidegate_host::Exit;

/// Why a worker process is no more. Displays as one line for operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// It could not be started: no interpreter, or the system refused.
    NotStarted(String),
    /// It is not the worker this app server knows how to speak to.
    Refused(String),
    /// The app could not be imported.
    ImportFailed { error: String, traceback: String },
    /// Killed: a warm-up request failed, as this text says.
    WarmUpFailed(String),
    /// Killed: not ready within `start_timeout`.
    NotReady,
    /// Killed: silent for `heartbeat_timeout`.
    Frozen,
    /// It ended, by itself or because it was asked to.
    Exited(String),
    /// Killed: asked to stop and still there after its time.
    Overdue,
}

impl End {
    pub(crate) fn exited(exit: &Exit) -> Self {
        Self::Exited(exit.to_string())
    }

    /// The metric label it counts under.
    pub(crate) const fn reason(&self) -> RestartReason {
        match self {
            Self::ImportFailed { .. } => RestartReason::ImportFailed,
            Self::WarmUpFailed(_) => RestartReason::WarmUpFailed,
            Self::NotReady => RestartReason::StartTimeout,
            Self::Frozen => RestartReason::Frozen,
            Self::NotStarted(_) | Self::Refused(_) | Self::Exited(_) | Self::Overdue => RestartReason::Died,
        }
    }

    /// The traceback, if there is one.
    pub(crate) fn traceback(&self) -> Option<&str> {
        match self {
            Self::ImportFailed { traceback, .. } => Some(traceback),
            _ => None,
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted(why) => write!(f, "could not be started: {why}"),
            Self::Refused(why) => write!(f, "was refused: {why}"),
            Self::ImportFailed { error, .. } => write!(f, "could not import the app: {error}"),
            Self::WarmUpFailed(why) => write!(f, "failed its warm-up and was killed: {why}"),
            Self::NotReady => f.write_str("was not ready within start_timeout and was killed"),
            Self::Frozen => f.write_str("gave no sign of life for heartbeat_timeout and was killed"),
            Self::Exited(exit) => write!(f, "ended with {exit}"),
            Self::Overdue => f.write_str("did not stop within its time and was killed"),
        }
    }
}
