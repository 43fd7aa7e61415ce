//! `files` in a route: a directory and how its files are served. Called by `hosts.rs`.

use crate::check::paths::Base;
use crate::checked::{Files, Target, VirtualHost};
use crate::raw::{Node, Table};

/// Keys of a route that are about its files.
pub(crate) const KEYS: &[&str] = &["index", "cache_control"];

/// Numbers the routes to files, when all are read.
pub(crate) fn number(hosts: &mut [VirtualHost]) {
    let routes = hosts.iter_mut().flat_map(|host| &mut host.routes);
    let files = routes.filter_map(|route| match &mut route.target {
        Target::Files(files) => Some(files),
        Target::App(_) | Target::Redirect(_) => None,
    });
    for (number, files) in files.enumerate() {
        files.number = number;
    }
}

/// The files at `node`, the value of `files` in the route `table`.
pub(crate) fn read(node: &Node<'_>, table: &Table<'_>, base: &Base) -> Option<Files> {
    let root = base.directory(node, "the directory of the files");
    let index = table.read("index", None, |node| {
        const EXPECTED: &str = "a file name such as index.html";
        let text = node.text(EXPECTED)?;
        if text.contains(['/', '\\', ':']) || text == "." || text == ".." {
            return node.reject(format_args!("expected {EXPECTED}"));
        }
        Some(Some(text.to_owned()))
    });
    let cache_control = table.read("cache_control", None, |node| {
        const EXPECTED: &str = "a Cache-Control value such as max-age=3600";
        let text = node.text(EXPECTED)?.trim();
        if !text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
            return node.reject(format_args!("expected {EXPECTED}"));
        }
        Some(Some(text.to_owned()))
    });
    Some(Files { number: 0, root: root?, index: index?, cache_control: cache_control? })
}
