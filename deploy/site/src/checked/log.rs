//! Checked: logging.

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
