//! `cors`: which other sites' scripts may use a route, and how.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};

use crate::checked::{Cors, Origins, RequestFields};
use crate::defaults;
use crate::raw::{Node, Table};

/// Keys of `cors`.
pub(crate) const CORS: &[&str] = &["origins", "methods", "headers", "expose", "credentials", "max_age"];

const ORIGIN: &str = "an origin such as https://app.example, with its port where it has one, without a path";
const ORIGINS: &str = "a list of origins such as [https://app.example], or \"*\"";
const METHODS: &str = "a list of methods such as [GET, POST, DELETE]";
const FIELDS: &str = "a list of field names such as [Content-Type, X-Token]";

/// The rule of a host or a route; none where it is off or empty.
pub(super) fn read(node: &Node<'_>) -> Option<Option<Cors>> {
    if node.is_off() {
        return Some(None);
    }
    let table = node.table(CORS)?;
    if table.is_empty() {
        return Some(None);
    }
    let origins = table.require("origins", ORIGINS).and_then(|node| origins(&node));
    let methods = table.read("methods", HeaderValue::from_static(defaults::CORS_METHODS), |node| {
        joined(&node, METHODS, method).map(|value| value.unwrap_or(HeaderValue::from_static("")))
    });
    let headers = table.read("headers", RequestFields::These(None), |node| {
        if node.is_text("*") {
            return Some(RequestFields::Any);
        }
        joined(&node, FIELDS, field).map(RequestFields::These)
    });
    let expose = table.read("expose", None, |node| joined(&node, FIELDS, field));
    let credentials = table.read("credentials", false, |node| node.switch());
    let max_age = table.read("max_age", defaults::CORS_MAX_AGE, |node| {
        node.duration(Duration::from_secs(1)..=Duration::from_secs(24 * 3600))
    });
    let (origins, credentials) = (origins?, credentials?);
    if credentials && origins == Origins::Any {
        return problem(
            &table,
            "credentials",
            "on, and origins is \"*\": every site could act as its visitors: expected a list of origins",
        );
    }
    Some(Some(Cors { origins, methods: methods?, headers: headers?, expose: expose?, credentials, max_age: max_age? }))
}

fn problem<T>(table: &Table<'_>, key: &str, message: &str) -> Option<T> {
    table.problems().add(&table.path(key), message);
    None
}

fn origins(node: &Node<'_>) -> Option<Origins> {
    if node.is_text("*") {
        return Some(Origins::Any);
    }
    let nodes = node.list(ORIGINS)?;
    if nodes.is_empty() {
        return node.reject(format_args!("is empty: expected {ORIGINS}"));
    }
    crate::check::every(&nodes, origin).map(Origins::These)
}

/// An origin in the form in which browsers send it.
fn origin(node: &Node<'_>) -> Option<String> {
    let text = node.text(ORIGIN)?;
    let lower = text.to_ascii_lowercase();
    let (scheme, host) = lower.split_once("://").unwrap_or(("", &lower));
    let default_port = match scheme {
        "https" => ":443",
        "http" => ":80",
        _ => return node.reject(format_args!("expected {ORIGIN}")),
    };
    let host = host.strip_suffix(default_port).unwrap_or(host);
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    if host.is_empty() || !host.bytes().all(good) {
        return node.reject(format_args!("expected {ORIGIN}"));
    }
    Some(format!("{scheme}://{host}"))
}

/// A list of words as the value of one field; nothing if it is empty.
fn joined(node: &Node<'_>, expected: &str, word: impl Fn(&str) -> Option<String>) -> Option<Option<HeaderValue>> {
    let words = crate::check::every(&node.list(expected)?, |node| {
        let text = node.text(expected)?;
        word(text).or_else(|| node.reject(format_args!("expected {expected}")))
    })?;
    let value = HeaderValue::try_from(words.join(", ")).ok();
    Some(value.filter(|value| !value.is_empty()))
}

fn method(text: &str) -> Option<String> {
    Method::from_bytes(text.as_bytes()).is_ok().then(|| text.to_ascii_uppercase())
}

fn field(text: &str) -> Option<String> {
    (text != "*" && HeaderName::from_bytes(text.as_bytes()).is_ok()).then(|| text.to_owned())
}
