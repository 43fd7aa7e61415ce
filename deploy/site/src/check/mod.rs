//! From the YAML tree to a [`Site`]: one file a noun. Called by [`crate::load`] alone. Each
//! function reads its part as far as it goes, records every problem, and answers `None` if there
//! was one; so a value that comes out was checked. Only file metadata and environment files are
//! read from the disk, nothing is ever written.

mod apps;
mod certificates;
mod diagnosis;
mod environment;
mod files;
mod hosts;
mod keys;
mod limits;
mod listeners;
mod log;
mod maintenance;
mod names;
mod own;
mod paths;
mod pool;
mod redirects;
mod rules;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use tidegate_host::Endpoint;

use crate::Reader;
use crate::checked::Site;
use crate::defaults;
use crate::raw::{Node, Table};
use paths::Base;

/// Keys of the file's top level.
pub(crate) const ROOT: &[&str] = &[
    "version",
    "state_dir",
    "runtime_dir",
    "listeners",
    "certificates",
    "tls",
    "hosts",
    "apps",
    "app",
    "limits",
    "trusted_proxies",
    "trace_context",
    "metrics",
    "log",
];

/// What is known of the file beside its content.
pub(crate) struct Origin {
    pub(crate) file: std::path::PathBuf,
    pub(crate) digest: String,
    pub(crate) instance: String,
    pub(crate) reader: Reader,
}

/// The whole file.
pub(crate) fn site(root: &Node<'_>, origin: Origin) -> Option<Site> {
    let base = Base::of(&origin.file, origin.reader);
    let table = root.table(ROOT)?;
    let version = version(&table);
    let state_dir = table
        .get("state_dir")
        .map_or_else(|| Some(base.resolve(defaults::STATE_DIR)), |node| base.directory_to_be(&node));
    let runtime_dir = table
        .get("runtime_dir")
        .map_or_else(|| Some(tidegate_host::runtime_dir(&origin.instance)), |node| base.directory_to_be(&node));
    let listeners = listeners::all(&table, &base);
    let certificates = table.read("certificates", Vec::new(), |node| certificates::all(&node, &base));
    let tls = certificates::tls(&table);
    let beside = state_dir.clone().unwrap_or_default();
    let limits = limits::read(&table, &base, &beside);
    let apps = apps::all(&table, &base);
    let hosts = hosts::all(&table, &base, &apps, limits.as_ref());
    let trusted_proxies = table.read("trusted_proxies", Vec::new(), |node| networks(&node));
    let trace_context = table.read("trace_context", defaults::TRACE_CONTEXT, |node| node.switch());
    let metrics = metrics(&table, listeners.as_deref());
    // Nobody reads the standard error of a service there.
    let log_file =
        tidegate_host::stderr_leads_nowhere().then(|| state_dir.as_ref().map(|dir| dir.join(defaults::LOG_FILE)));
    let log = log::read(&table, &base, log_file.flatten());
    if let Some(runtime_dir) = &runtime_dir {
        endpoints_fit(&table, runtime_dir, &apps.names);
    }
    version?;
    let site = Site {
        file: origin.file,
        digest: origin.digest,
        state_dir: state_dir?,
        runtime_dir: runtime_dir?,
        instance: origin.instance,
        listeners: listeners?,
        certificates: certificates?,
        tls: tls?,
        hosts: hosts?,
        apps: apps.checked,
        limits: limits?,
        trusted_proxies: trusted_proxies?,
        trace_context: trace_context?,
        metrics: metrics?,
        log: log?,
    };
    own::check(&table, &site);
    Some(site)
}

/// The shortest a duration may be: zero would mean "never" to some readers and "at once" to others.
pub(crate) const SHORTEST: Duration = Duration::from_millis(1);

/// The longest a duration may be: beyond a day it is a mistyped unit.
pub(crate) const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// A duration above zero.
fn duration(table: &Table<'_>, key: &str, default: Duration) -> Option<Duration> {
    table.read(key, default, |node| node.duration(SHORTEST..=LONGEST))
}

fn version(table: &Table<'_>) -> Option<()> {
    let Some(node) = table.get("version") else {
        return Some(());
    };
    if node.is_integer(defaults::VERSION) {
        return Some(());
    }
    node.reject(format_args!("not supported: this Tidegate reads version {}", defaults::VERSION))
}

fn networks(node: &Node<'_>) -> Option<Vec<IpNet>> {
    const EXPECTED: &str = "an address or a network such as 10.0.0.0/8 or \"::1\"";
    let read = |node: &Node<'_>| {
        let text = node.text(EXPECTED)?;
        let network = text.parse::<IpNet>().ok().map(|network| network.trunc());
        network
            .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
            .or_else(|| node.reject(format_args!("expected {EXPECTED}")))
    };
    every(&node.list("a list of addresses and networks such as [10.0.0.0/8, \"::1\"]")?, read)
}

fn metrics(table: &Table<'_>, listeners: Option<&[crate::Listener]>) -> Option<Option<SocketAddr>> {
    let node = table.get("metrics");
    let address = match &node {
        None => defaults::METRICS,
        Some(node) if node.is_off() => return Some(None),
        Some(node) if node.is_on() => defaults::METRICS,
        Some(node) => listeners::address(node, "an address with a port such as 127.0.0.1:9145, or off")?,
    };
    let taken = listeners.unwrap_or_default().iter().find(|other| listeners::clash(other.address, address));
    if let Some(other) = taken {
        table.problems().add(
            &table.path("metrics"),
            format!("{address}: taken by the listener on {}: expected another address or off", other.address),
        );
        return None;
    }
    Some(Some(address))
}

/// A Unix socket's path has 108 bytes with its terminator; a worker that cannot bind would be
/// found out only at its start.
fn endpoints_fit(table: &Table<'_>, runtime_dir: &std::path::Path, apps: &[String]) {
    const LONGEST_SOCKET: usize = 107;
    // Instance, app, a generation of six digits, sixteen random digits.
    let app = apps.iter().map(String::len).max().unwrap_or(0).max("channel".len());
    let name = "x".repeat(16 + 1 + app + 1 + 6 + 1 + 16);
    let Endpoint::Unix(path) = Endpoint::local(runtime_dir, &name) else {
        return;
    };
    let length = path.as_os_str().len();
    if let Some(excess) = length.checked_sub(LONGEST_SOCKET).filter(|excess| *excess > 0) {
        table.problems().add(
            &table.path("runtime_dir"),
            format!(
                "{:?}: {excess} bytes too long: expected a directory short enough for Unix sockets, such as /run/tidegate",
                runtime_dir.display().to_string()
            ),
        );
    }
}

/// Reads every node, so that every problem is found; `None` if there was one.
fn every<T>(nodes: &[Node<'_>], read: impl FnMut(&Node<'_>) -> Option<T>) -> Option<Vec<T>> {
    let read: Vec<Option<T>> = nodes.iter().map(read).collect();
    read.into_iter().collect()
}

/// Every table's keys, under the name that the documentation gives it.
#[cfg(test)]
pub(crate) const TABLES: &[(&str, &[&str])] = &[
    ("tidegate.yaml", ROOT),
    ("listeners", listeners::LISTENER),
    ("certificates", certificates::CERTIFICATE),
    ("tls", certificates::TLS),
    ("client_certificates", certificates::CLIENT_CERTIFICATES),
    ("hosts", hosts::OWN_HOST),
    ("routes", hosts::OWN_ROUTE),
    ("redirects", redirects::REDIRECT),
    ("rewrites", redirects::REWRITE),
    ("redirect", redirects::TARGET),
    ("cache_control", files::CACHE_RULE),
    ("rules", rules::RULES),
    ("rate_limits", rules::traffic::RATE_LIMIT),
    ("concurrency", rules::traffic::CONCURRENCY),
    ("hsts", rules::hsts::HSTS),
    ("cors", rules::cors::CORS),
    ("basic_auth", rules::basic_auth::BASIC_AUTH),
    ("headers", rules::headers::HEADERS),
    ("compress", rules::compress::COMPRESS),
    ("headers.request", rules::headers::EDITS),
    ("apps", apps::APP),
    ("threads", apps::THREADS),
    ("recycle", pool::RECYCLE),
    ("queue", apps::QUEUE),
    ("limits", limits::LIMITS),
    ("log", log::LOG),
    ("rotate", log::ROTATE),
    ("access", log::ACCESS),
    ("redact", log::REDACT),
];

#[cfg(test)]
mod tests {
    use super::TABLES;

    /// The documentation has a heading for every table and a row for every key below it.
    #[test]
    fn every_key_is_documented_in_its_section() {
        let text = include_str!("../../../../docs/configuration.md").replace('\r', "");
        for (table, keys) in TABLES {
            let heading = format!("# `{table}`\n");
            let (_, section) = text.split_once(&heading).unwrap_or_else(|| panic!("no heading {heading}"));
            let section = section.split("\n#").next().unwrap_or_default();
            for key in *keys {
                assert!(section.contains(&format!("| `{key}` |")), "{table}: no row for {key}");
            }
        }
    }
}
