//! Where log lines go, what they look like, and when their files are set aside.

use std::path::PathBuf;
use std::time::Duration;

use super::SHORTEST;
use super::paths::Base;
use crate::checked::{AccessFormat, AccessLog, AccessTo, HiddenQuery, Level, Log, LogFormat, Rotate};
use crate::defaults;
use crate::raw::{Node, Table};

/// Keys of `log`.
pub(crate) const LOG: &[&str] = &["level", "format", "to", "rotate", "access"];
/// Keys of `log.access`.
pub(crate) const ACCESS: &[&str] = &["format", "to", "rotate", "sample", "headers", "redact"];
/// Keys of `rotate`.
pub(crate) const ROTATE: &[&str] = &["size", "age", "keep", "compress"];
/// Keys of `redact`.
pub(crate) const REDACT: &[&str] = &["query", "headers"];

/// A file of less holds a handful of lines.
const SMALLEST_FILE: u64 = 1 << 10;
const LARGEST_FILE: u64 = 1 << 40;
/// A month; what is older is found by its name.
const LONGEST_AGE: Duration = Duration::from_secs(30 * 24 * 3600);
const MOST_KEPT: usize = 10_000;
const MOST_HEADERS: usize = 32;
const FILE: &str = "a file such as logs/tidegate.log, or stderr";

/// `log`; `usual` is the file of a file that names none, where standard error leads nowhere.
pub(super) fn read(root: &Table<'_>, base: &Base, usual: Option<PathBuf>) -> Option<Log> {
    let Some(node) = root.get("log") else {
        return Some(Log {
            level: defaults::LOG_LEVEL,
            format: defaults::LOG_FORMAT,
            to: usual,
            rotate: Some(defaults::ROTATE),
            access: Some(access_by_default(defaults::LOG_FORMAT, Some(defaults::ROTATE))),
        });
    };
    let table = node.table(LOG)?;
    let level = table.read("level", defaults::LOG_LEVEL, |node| {
        node.choice(&[("error", Level::Error), ("warn", Level::Warn), ("info", Level::Info), ("debug", Level::Debug)])
    });
    let format = table.read("format", defaults::LOG_FORMAT, |node| {
        node.choice(&[("text", LogFormat::Text), ("json", LogFormat::Json)])
    });
    let to = table.read("to", usual, |node| {
        if node.is_text("stderr") { Some(None) } else { base.file_to_be(&node, FILE).map(Some) }
    });
    let rotate = table.read("rotate", Some(defaults::ROTATE), |node| rotation(&node));
    let usual = access_by_default(format.unwrap_or(defaults::LOG_FORMAT), rotate.flatten());
    let access = table.read("access", Some(usual.clone()), |node| {
        if node.is_table() {
            return access(&node, usual, base).map(Some);
        }
        match (node.is_on(), node.is_off()) {
            (true, _) => Some(Some(usual)),
            (_, true) => Some(None),
            _ => node.reject("expected on, off, or a table such as { to: logs/access.log }"),
        }
    });
    let log = Log { level: level?, format: format?, to: to?, rotate: rotate?, access: access? };
    files_fit(&table, &log)?;
    Some(log)
}

fn access_by_default(format: LogFormat, rotate: Option<Rotate>) -> AccessLog {
    AccessLog {
        format: match format {
            LogFormat::Text => AccessFormat::Text,
            LogFormat::Json => AccessFormat::Json,
        },
        to: AccessTo::Log,
        rotate,
        sample: defaults::ACCESS_SAMPLE,
        headers: Vec::new(),
        hidden_query: HiddenQuery::None,
        hidden_headers: Vec::new(),
    }
}

fn access(node: &Node<'_>, usual: AccessLog, base: &Base) -> Option<AccessLog> {
    let table = node.table(ACCESS)?;
    let format = table.read("format", usual.format, |node| {
        node.choice(&[("text", AccessFormat::Text), ("json", AccessFormat::Json), ("combined", AccessFormat::Combined)])
    });
    let to = table.read("to", usual.to, |node| match () {
        () if node.is_text("log") => Some(AccessTo::Log),
        () if node.is_text("stderr") => Some(AccessTo::Stderr),
        () if node.is_text("stdout") => Some(AccessTo::Stdout),
        () => base.file_to_be(&node, "log, stderr, stdout, or a file such as logs/access.log").map(AccessTo::File),
    });
    let rotate = table.read("rotate", usual.rotate, |node| {
        if matches!(to, Some(AccessTo::File(_)) | None) {
            rotation(&node)
        } else {
            node.reject_key("expected only where the access log has a file of its own (to: FILE)")
        }
    });
    let sample = table.read("sample", usual.sample, |node| node.integer(1..=1_000_000));
    let headers = table.read("headers", usual.headers, |node| header_names(&node));
    let redact = table.get("redact");
    let (hidden_query, hidden_headers) = match &redact {
        None => (Some(usual.hidden_query), Some(usual.hidden_headers)),
        Some(node) => {
            let table = node.table(REDACT)?;
            let query = table.read("query", HiddenQuery::None, |node| match (node.is_on(), node.is_off()) {
                (true, _) => Some(HiddenQuery::All),
                (_, true) => Some(HiddenQuery::None),
                _ => names(&node, "on, off, or a list of parameters such as [token, email]").map(HiddenQuery::Named),
            });
            (query, table.read("headers", Vec::new(), |node| header_names(&node)))
        }
    };
    Some(AccessLog {
        format: format?,
        to: to?,
        rotate: rotate?,
        sample: sample?,
        headers: headers?,
        hidden_query: hidden_query?,
        hidden_headers: hidden_headers?,
    })
}

fn rotation(node: &Node<'_>) -> Option<Option<Rotate>> {
    if node.is_off() {
        return Some(None);
    }
    let table = node.table(ROTATE)?;
    let size = table.read("size", defaults::ROTATE.size, |node| {
        if node.is_off() { Some(None) } else { node.size(SMALLEST_FILE..=LARGEST_FILE).map(Some) }
    });
    let age = table.read("age", defaults::ROTATE.age, |node| {
        if node.is_off() { Some(None) } else { node.duration(SHORTEST..=LONGEST_AGE).map(Some) }
    });
    let keep = table.read("keep", defaults::ROTATE.keep, |node| node.integer(1..=MOST_KEPT as u64).map(|n| n as usize));
    let compress = table.read("compress", defaults::ROTATE.compress, |node| node.switch());
    Some(Some(Rotate { size: size?, age: age?, keep: keep?, compress: compress? }))
}

/// Names of request headers, in lower case.
fn header_names(node: &Node<'_>) -> Option<Vec<String>> {
    const EXPECTED: &str = "a list of header names such as [accept-language]";
    let nodes = node.list(EXPECTED)?;
    if nodes.len() > MOST_HEADERS {
        return node.reject_key(format!("has {} names: expected at most {MOST_HEADERS}", nodes.len()));
    }
    super::every(&nodes, |node| {
        let name = node.text("a header name")?.to_ascii_lowercase();
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.bytes().all(legal) { Some(name) } else { node.reject("expected a header name such as referer") }
    })
}

fn names(node: &Node<'_>, expected: &str) -> Option<Vec<String>> {
    super::every(&node.list(expected)?, |node| Some(node.text("the name of a parameter")?.to_ascii_lowercase()))
}

/// No file is written by two, and a rotation has something to rotate.
fn files_fit(table: &Table<'_>, log: &Log) -> Option<()> {
    let own = log.access.as_ref().and_then(AccessLog::file);
    if let Some(file) = own
        && ["proxy", "appserver"].iter().any(|process| log.file_of(process).is_some_and(|other| other == file))
    {
        let message = format!("{}: taken by log.to: expected another file, or to: log", file.display());
        table.problems().add(&table.path("access"), message);
        return None;
    }
    let node = table.get("rotate");
    match node {
        Some(node) if log.to.is_none() && own.is_none() && !node.is_off() => {
            node.reject_key("expected only with a file to rotate (log.to or log.access.to)")
        }
        _ => Some(()),
    }
}
