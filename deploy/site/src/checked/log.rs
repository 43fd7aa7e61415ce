//! Checked: logging.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// Logging of both processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Least severe level that is written.
    pub level: Level,
    /// Text for people or JSON for machines.
    pub format: LogFormat,
    /// The file, absolute, that each program derives its own from (see [`Log::file_of`]); none for standard error.
    pub to: Option<PathBuf>,
    /// When those files are set aside.
    pub rotate: Option<Rotate>,
    /// One line per request, unless switched off.
    pub access: Option<AccessLog>,
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

/// When a log file is set aside and another one begun; without one it grows for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotate {
    /// Before it has more bytes than these.
    pub size: Option<u64>,
    /// When its first line is this old.
    pub age: Option<Duration>,
    /// How many are kept beside the one that is written.
    pub keep: usize,
    /// Whether those are compressed with gzip.
    pub compress: bool,
}

/// The access log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessLog {
    /// How a line looks.
    pub format: AccessFormat,
    /// Where it goes.
    pub to: AccessTo,
    /// When its file is set aside.
    pub rotate: Option<Rotate>,
    /// Of so many requests that went well one is logged; of the others each.
    pub sample: u32,
    /// Request headers that a line has beside what it always has, in lower case.
    pub headers: Vec<String>,
    /// Which query parameters are hidden.
    pub hidden_query: HiddenQuery,
    /// Request headers whose values are hidden, in lower case.
    pub hidden_headers: Vec<String>,
}

/// How a line of the access log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessFormat {
    /// For people.
    Text,
    /// A JSON object a line.
    Json,
    /// The combined log format of Apache and nginx.
    Combined,
}

/// Where the access log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessTo {
    /// Where the proxy's other lines go.
    Log,
    /// Standard error.
    Stderr,
    /// Standard output.
    Stdout,
    /// A file, absolute.
    File(PathBuf),
}

/// Which query parameters the access log hides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HiddenQuery {
    /// None.
    None,
    /// The whole query.
    All,
    /// The values of those with these names, in lower case.
    Named(Vec<String>),
}

impl Log {
    /// The file of one of the programs: `logs/tidegate.log` becomes `logs/tidegate-proxy.log`. Two processes that
    /// write and rotate the same file would take it from under each other.
    pub fn file_of(&self, process: &str) -> Option<PathBuf> {
        let to = self.to.as_deref()?;
        let stem = to.file_stem().unwrap_or_default().to_string_lossy();
        let suffix = to.extension().map(|suffix| format!(".{}", suffix.to_string_lossy())).unwrap_or_default();
        Some(to.with_file_name(format!("{stem}-{process}{suffix}")))
    }

    /// Every file that is written to, by either program.
    pub fn files(&self) -> Vec<PathBuf> {
        let access = self.access.as_ref().and_then(AccessLog::file).map(Path::to_owned);
        ["proxy", "appserver"].iter().filter_map(|process| self.file_of(process)).chain(access).collect()
    }
}

impl AccessLog {
    /// Its own file, if it has one.
    pub fn file(&self) -> Option<&Path> {
        match &self.to {
            AccessTo::File(file) => Some(file),
            AccessTo::Log | AccessTo::Stderr | AccessTo::Stdout => None,
        }
    }
}
