//! `files` in a route: a directory and how its files are served. Called by `hosts.rs`.

use http::HeaderValue;

use crate::Reader;
use crate::check::every;
use crate::check::paths::Base;
use crate::checked::{AppRoute, CacheRule, Files, Names, Target, VirtualHost};
use crate::defaults;
use crate::raw::{Node, Table};

/// Keys of a route that are about its files.
pub(crate) const KEYS: &[&str] = &[
    "index",
    "internal",
    "suffixes",
    "fallback",
    "listing",
    "hidden",
    "precompressed",
    "cache_control",
    "types",
    "charset",
];
/// Keys of a rule of `cache_control`.
pub(crate) const CACHE_RULE: &[&str] = &["match", "value"];

const NAME: &str = "a file name such as index.html";
const SUFFIX: &str = "a suffix with its dot such as .html";
const FALLBACK: &str = "a file below the directory such as index.html";
const VALUE: &str = "a Cache-Control value such as max-age=3600";
const PATTERN: &str = "a pattern such as \"*.css\" or \"assets/**\", or fingerprinted";
const EXTENSION: &str = "a table of extensions and types such as { .foo: application/x-foo }";
const MEDIA: &str = "a media type such as application/x-foo";
const CHARSET: &str = "a charset such as utf-8, or off";

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

/// The files at `node`, the value of `files` in the route `table`, and the app for what is none.
pub(crate) fn read(node: &Node<'_>, table: &Table<'_>, base: &Base, app: Option<AppRoute>) -> Option<Files> {
    let root = base.directory(node, "the directory of the files", Reader::Proxy);
    let index = table.read("index", Vec::new(), |node| one_or_more(&node, |node| name(node, NAME)));
    let suffixes = table.read("suffixes", Vec::new(), |node| one_or_more(&node, suffix));
    let fallback = table.read("fallback", None, |node| {
        if table.get("app").is_some() {
            return node.reject_key("expected only without app: the app answers what is no file");
        }
        fallback(&node).map(Some)
    });
    let listing = table.read("listing", defaults::LISTING, |node| node.switch());
    let hidden = table.read("hidden", defaults::HIDDEN_FILES, |node| node.switch());
    let internal = table.read("internal", defaults::INTERNAL, |node| {
        if table.get("app").is_some() {
            return node.reject_key("expected only without app: an app leads to it and cannot be behind it");
        }
        node.switch()
    });
    let precompressed = table.read("precompressed", defaults::PRECOMPRESSED, |node| node.switch());
    let cache_control = table.read("cache_control", Vec::new(), |node| cache_control(&node));
    let types = table.read("types", Vec::new(), |node| types(&node));
    let charset = table.read("charset", Some(defaults::CHARSET.to_owned()), |node| charset(&node));
    Some(Files {
        number: 0,
        root: root?,
        index: index?,
        suffixes: suffixes?,
        fallback: fallback?,
        app,
        listing: listing?,
        hidden: hidden?,
        internal: internal?,
        compress: None,
        precompressed: precompressed?,
        cache_control: cache_control?,
        types: types?,
        charset: charset?,
    })
}

/// A list, or its only element.
fn one_or_more<T>(node: &Node<'_>, read: impl Fn(&Node<'_>) -> Option<T>) -> Option<Vec<T>> {
    if node.is_list() { every(&node.list("a list")?, read) } else { read(node).map(|one| vec![one]) }
}

fn name(node: &Node<'_>, expected: &str) -> Option<String> {
    let text = node.text(expected)?;
    if text.contains(['/', '\\', ':']) || text == "." || text == ".." {
        return node.reject(format_args!("expected {expected}"));
    }
    Some(text.to_owned())
}

fn suffix(node: &Node<'_>) -> Option<String> {
    let suffix = name(node, SUFFIX)?;
    if suffix.len() < 2 || !suffix.starts_with('.') || suffix.ends_with('.') {
        return node.reject(format_args!("expected {SUFFIX}"));
    }
    Some(suffix)
}

/// It need not be there yet: a build makes it.
fn fallback(node: &Node<'_>) -> Option<String> {
    let text = node.text(FALLBACK)?;
    let is_plain = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains(['\\', ':']);
    if text.split('/').all(is_plain) { Some(text.to_owned()) } else { node.reject(format_args!("expected {FALLBACK}")) }
}

fn cache_control(node: &Node<'_>) -> Option<Vec<CacheRule>> {
    if !node.is_list() {
        return value(node).map(|value| vec![CacheRule { names: Names::All, value }]);
    }
    let nodes = node.list("a value, or a list of { match: PATTERN, value: VALUE }")?;
    every(&nodes, |node| {
        let table = node.table(CACHE_RULE)?;
        let names = table.require("match", PATTERN).and_then(|node| names(&node));
        let value = table.require("value", VALUE).and_then(|node| value(&node));
        Some(CacheRule { names: names?, value: value? })
    })
}

fn names(node: &Node<'_>) -> Option<Names> {
    match node.text(PATTERN)? {
        "fingerprinted" => Some(Names::Fingerprinted),
        "*" | "**" => Some(Names::All),
        pattern if pattern.contains('\\') || pattern.ends_with('/') => node.reject(format_args!("expected {PATTERN}")),
        // Both spellings of "below the root" are natural.
        pattern => Some(Names::Pattern(match pattern.strip_prefix('/') {
            Some(rooted) if !rooted.contains('/') => format!("./{rooted}"),
            Some(rooted) => rooted.to_owned(),
            None => pattern.to_owned(),
        })),
    }
}

fn value(node: &Node<'_>) -> Option<HeaderValue> {
    let text = node.text(VALUE)?.trim();
    let legal = text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    match HeaderValue::from_str(text) {
        Ok(value) if legal => Some(value),
        _ => node.reject(format_args!("expected {VALUE}")),
    }
}

fn types(node: &Node<'_>) -> Option<Vec<(String, String)>> {
    let read = |(extension, node): (String, Node<'_>)| {
        let bare = extension.strip_prefix('.').unwrap_or(&extension);
        if bare.is_empty() || bare.contains(['.', '/', '\\']) {
            return node.reject_key("expected an extension such as .foo");
        }
        let text = node.text(MEDIA)?;
        let token = |part: &str| !part.is_empty() && part.bytes().all(is_token);
        let essence = text.split(';').next().unwrap_or_default().trim_end();
        let is_media = essence.split_once('/').is_some_and(|(kind, name)| token(kind) && token(name));
        if !is_media || HeaderValue::from_str(text).is_err() || !text.is_ascii() {
            return node.reject(format_args!("expected {MEDIA}"));
        }
        Some((bare.to_lowercase(), text.to_owned()))
    };
    let types: Vec<_> = node.entries(EXTENSION)?.into_iter().map(read).collect();
    types.into_iter().collect()
}

fn charset(node: &Node<'_>) -> Option<Option<String>> {
    if node.is_off() {
        return Some(None);
    }
    let text = node.text(CHARSET)?;
    if text.bytes().all(is_token) {
        Some(Some(text.to_owned()))
    } else {
        node.reject(format_args!("expected {CHARSET}"))
    }
}

/// RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
