//! `files` in a route: a directory and how its files are served. Called by `hosts.rs`.

use crate::check::paths::Base;
use crate::checked::Files;
use crate::raw::{Node, Table};

/// Keys of a route that are about its files.
pub(crate) const KEYS: &[&str] = &["index", "cache_control"];

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
    Some(Files { root: root?, index: index?, cache_control: cache_control? })
}
