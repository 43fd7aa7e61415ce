//! `apps` and its short form `app`: WSGI applications and their workers.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::Reader;
use crate::check::paths::Base;
use crate::check::{diagnosis, duration, environment, pool};
use crate::checked::{App, Python, Queue, Threads};
use crate::defaults;
use crate::interpreter::{self, Unusable};
use crate::raw::{Node, Table};
use crate::units;

/// Keys of an app.
pub(crate) const APP: &[&str] = &[
    "wsgi",
    "directory",
    "python",
    "processes",
    "recycle",
    "replace",
    "memory_limit",
    "warm_up",
    "threads",
    "environment",
    "environment_file",
    "request_timeout",
    "stream_idle_timeout",
    "timeout_grace",
    "timeout_status",
    "start_timeout",
    "drain_timeout",
    "heartbeat",
    "heartbeat_timeout",
    "queue",
    "slow_request",
    "validate",
    "cancel_when_client_gone",
];
/// Keys of `threads`.
pub(crate) const THREADS: &[&str] = &["min", "max"];
/// Keys of `queue`.
pub(crate) const QUEUE: &[&str] = &["size", "timeout"];

const WSGI: &str = "module:callable such as shop.wsgi:application";
const NAME: &str = "expected a name of 1 to 32 of a-z, 0-9 and -";
/// Beyond it a number of processes or threads is a mistake, not a plan.
const MOST_PROCESSES: u32 = 512;
const MOST_THREADS: u32 = 10_000;

/// The apps of a file.
pub(crate) struct Apps {
    /// The names as written, those of apps with problems included.
    pub(crate) names: Vec<String>,
    /// The apps without problems.
    pub(crate) checked: Vec<App>,
    /// Whether `names` is what was meant; else a message already says that it is not.
    pub(crate) complete: bool,
}

/// All apps.
pub(crate) fn all(root: &Table<'_>, base: &Base) -> Apps {
    let mut apps = Apps { names: Vec::new(), checked: Vec::new(), complete: true };
    let (short, long) = (root.get("app"), root.get("apps"));
    if let (Some(short), Some(_)) = (&short, &long) {
        short.reject_key::<()>("the short form of apps: expected either app or apps, not both");
        apps.complete = false;
    }
    if let Some(node) = short {
        apps.names.push(defaults::APP_NAME.to_owned());
        let wsgi = if node.is_table() {
            node.reject(format_args!("expected {WSGI}; an app with settings goes below apps"))
        } else {
            target(&node)
        };
        apps.checked.extend(wsgi.map(|wsgi| plain(defaults::APP_NAME, wsgi, base)));
    }
    let entries = long.map(|node| node.entries("a table such as { shop: { wsgi: shop.wsgi:application } }"));
    apps.complete &= !matches!(entries, Some(None));
    for (name, node) in entries.flatten().into_iter().flatten() {
        if !is_name(&name) {
            node.reject_key::<()>(NAME);
        }
        apps.checked.extend(app(&name, &node, base));
        apps.names.push(name);
    }
    apps
}

/// An app of which nothing but its target is said.
fn plain(name: &str, wsgi: String, base: &Base) -> App {
    let pool = pool::Pool::default();
    let diagnosis = diagnosis::Diagnosis::default();
    App {
        name: Arc::from(name),
        wsgi,
        directory: base.directory_itself(),
        python: Python::Find,
        processes: defaults::PROCESSES,
        recycle: pool.recycle,
        replace: pool.replace,
        memory_limit: pool.memory_limit,
        warm_up: pool.warm_up,
        threads: Threads { min: defaults::THREADS_MIN, max: defaults::THREADS_MAX },
        environment: BTreeMap::new(),
        environment_file: None,
        request_timeout: defaults::REQUEST_TIMEOUT,
        stream_idle_timeout: defaults::STREAM_IDLE_TIMEOUT,
        timeout_grace: defaults::TIMEOUT_GRACE,
        timeout_status: defaults::TIMEOUT_STATUS,
        start_timeout: defaults::START_TIMEOUT,
        drain_timeout: defaults::DRAIN_TIMEOUT,
        heartbeat: defaults::HEARTBEAT,
        heartbeat_timeout: defaults::HEARTBEAT_TIMEOUT,
        queue: Queue { size: defaults::QUEUE_SIZE, timeout: defaults::QUEUE_TIMEOUT },
        slow_request: diagnosis.slow_request,
        validate: diagnosis.validate,
        cancel_when_client_gone: diagnosis.cancel_when_client_gone,
    }
}

fn app(name: &str, node: &Node<'_>, base: &Base) -> Option<App> {
    let table = node.table(APP)?;
    let wsgi = table.require("wsgi", WSGI).and_then(|node| target(&node));
    let default = plain(name, wsgi.clone().unwrap_or_default(), base);
    let directory = table.read("directory", default.directory, |node| {
        base.directory(&node, "the directory of the app's modules", Reader::AppServer)
    });
    let python = table.read("python", default.python, |node| python(&node, base));
    let processes = table.read("processes", default.processes, |node| processes(&node));
    let pool = pool::read(&table);
    let threads = table.read("threads", default.threads, |node| threads(&node));
    let environment = environment::read(&table, base);
    let request_timeout = duration(&table, "request_timeout", default.request_timeout);
    let stream_idle_timeout = duration(&table, "stream_idle_timeout", default.stream_idle_timeout);
    let timeout_grace = duration(&table, "timeout_grace", default.timeout_grace);
    let timeout_status = table.read("timeout_status", default.timeout_status, |node| {
        let status = [502, 504].into_iter().find(|status| node.is_integer(u64::from(*status)));
        status.or_else(|| node.reject("expected 502 or 504"))
    });
    let start_timeout = duration(&table, "start_timeout", default.start_timeout);
    let drain_timeout = duration(&table, "drain_timeout", default.drain_timeout);
    let heartbeat = duration(&table, "heartbeat", default.heartbeat);
    let heartbeat_timeout = duration(&table, "heartbeat_timeout", default.heartbeat_timeout);
    let queue = table.read("queue", default.queue, |node| queue(&node));
    let diagnosis = diagnosis::read(&table);
    let steady = match (heartbeat, heartbeat_timeout) {
        (Some(beat), Some(timeout)) if timeout < beat * 3 => {
            // Fewer would replace a worker for one late beat.
            let message = format!(
                "{}: expected at least three heartbeats of {}, {}",
                units::show_duration(timeout),
                units::show_duration(beat),
                units::show_duration(beat * 3)
            );
            node.problem("heartbeat_timeout", message);
            None
        }
        _ => Some(()),
    };
    steady?;
    let (pool, diagnosis) = (pool?, diagnosis?);
    let (environment, environment_file) = environment?;
    Some(App {
        name: default.name,
        wsgi: wsgi?,
        directory: directory?,
        python: python?,
        processes: processes?,
        recycle: pool.recycle,
        replace: pool.replace,
        memory_limit: pool.memory_limit,
        warm_up: pool.warm_up,
        threads: threads?,
        environment,
        environment_file,
        request_timeout: request_timeout?,
        stream_idle_timeout: stream_idle_timeout?,
        timeout_grace: timeout_grace?,
        timeout_status: timeout_status?,
        start_timeout: start_timeout?,
        drain_timeout: drain_timeout?,
        heartbeat: heartbeat?,
        heartbeat_timeout: heartbeat_timeout?,
        queue: queue?,
        slow_request: diagnosis.slow_request,
        validate: diagnosis.validate,
        cancel_when_client_gone: diagnosis.cancel_when_client_gone,
    })
}

fn is_name(name: &str) -> bool {
    let allowed = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'-';
    (1..=32).contains(&name.len()) && name.bytes().all(allowed)
}

/// `dotted.module:dotted.callable`, with `()` at its end for a factory.
fn target(node: &Node<'_>) -> Option<String> {
    let text = node.text(WSGI)?;
    let Some((module, callable)) = text.split_once(':') else {
        return node.reject(format_args!("has no colon: expected {WSGI}"));
    };
    if module.ends_with(".py") || module.contains(['/', '\\']) {
        return node.reject(format_args!("names a file, not a module: expected {WSGI}"));
    }
    let callable = callable.strip_suffix("()").unwrap_or(callable);
    if !is_dotted(module) || !is_dotted(callable) {
        return node.reject(format_args!("expected {WSGI}, or module:factory()"));
    }
    Some(text.to_owned())
}

/// Python identifiers with dots between them.
fn is_dotted(text: &str) -> bool {
    text.split('.').all(|part| {
        let mut letters = part.chars();
        letters.next().is_some_and(|first| first.is_alphabetic() || first == '_')
            && letters.all(|letter| letter.is_alphanumeric() || letter == '_')
    })
}

fn python(node: &Node<'_>, base: &Base) -> Option<Python> {
    const EXPECTED: &str = "auto, an interpreter or a virtualenv directory";
    let refused = |unusable: Unusable| node.reject(format_args!("{unusable}: expected {EXPECTED}"));
    if node.is_text("auto") {
        return Some(Python::Find);
    }
    let path = base.resolve(node.text(EXPECTED)?);
    if base.reader == Reader::Proxy && base.is_kept_from_us(&path) {
        return Some(Python::At(path));
    }
    if path.is_dir() {
        return interpreter::of_directory(&path).map_or_else(refused, |python| Some(Python::At(python)));
    }
    // A link that leads nowhere may be a virtualenv's.
    if path.symlink_metadata().is_ok() {
        return interpreter::examine(&path).map_or_else(refused, |_| Some(Python::At(path.clone())));
    }
    base.file(node, EXPECTED).map(Python::At)
}

fn processes(node: &Node<'_>) -> Option<u32> {
    if node.is_text("auto") {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        return Some(u32::try_from(cores).unwrap_or(MOST_PROCESSES).min(MOST_PROCESSES));
    }
    if node.is_number() {
        return node.integer(1..=MOST_PROCESSES);
    }
    node.reject(format_args!("expected a whole number from 1 to {MOST_PROCESSES}, or auto"))
}

fn threads(node: &Node<'_>) -> Option<Threads> {
    if node.is_number() {
        let max = node.integer(1..=MOST_THREADS)?;
        return Some(Threads { min: max.min(defaults::THREADS_MIN), max });
    }
    if !node.is_table() {
        return node.reject(format_args!(
            "expected a whole number from 1 to {MOST_THREADS}, or a table such as {{ min: 4, max: 64 }}"
        ));
    }
    let table = node.table(THREADS)?;
    let max = table.read("max", defaults::THREADS_MAX, |node| node.integer(1..=MOST_THREADS));
    let min = match table.get("min") {
        None => max.map(|max| max.min(defaults::THREADS_MIN)),
        Some(node) => node.integer(1..=MOST_THREADS),
    };
    let (min, max) = (min?, max?);
    if min > max {
        node.problem("min", format!("{min}: expected at most threads.max, {max}"));
        return None;
    }
    Some(Threads { min, max })
}

fn queue(node: &Node<'_>) -> Option<Queue> {
    let table = node.table(QUEUE)?;
    let size = table.read("size", defaults::QUEUE_SIZE, |node| node.integer(1..=1_000_000));
    let timeout = duration(&table, "timeout", defaults::QUEUE_TIMEOUT);
    Some(Queue { size: size?, timeout: timeout? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn app_names_are_short_and_plain() {
        for (name, good) in [
            ("shop", true),
            ("shop-2", true),
            ("a", true),
            (&"a".repeat(32), true),
            (&"a".repeat(33), false),
            ("", false),
            ("Shop", false),
            ("shop_2", false),
            ("shöp", false),
        ] {
            assert_eq!(is_name(name), good, "{name}");
        }
    }

    #[test]
    fn dotted_names_are_python_identifiers() {
        for (text, good) in [
            ("shop", true),
            ("shop.wsgi", true),
            ("_a.b2", true),
            ("módulo", true),
            ("", false),
            ("shop.", false),
            (".shop", false),
            ("2shop", false),
            ("sh-op", false),
            ("shop wsgi", false),
        ] {
            assert_eq!(is_dotted(text), good, "{text}");
        }
    }
}
