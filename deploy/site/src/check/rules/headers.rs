//! `headers`: fields that are set, added or removed, in requests to apps and in every response.

use http::{HeaderName, HeaderValue};

use crate::checked::{HeaderEdits, Headers};
use crate::raw::{Node, Table};

/// Keys of `headers`.
pub(crate) const HEADERS: &[&str] = &["request", "response"];
/// Keys of one direction.
pub(crate) const EDITS: &[&str] = &["set", "add", "remove"];

const VALUE: &str = "the field's value as text; a number or a switch needs quotes";
const NAME: &str = "a field name such as X-Robots-Tag";

/// What frames a message or concerns one connection alone (RFC 9110 section 7.6.1).
const CONNECTION: &[&str] =
    &["connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "proxy"];

#[derive(Clone, Copy, PartialEq)]
enum Direction {
    Request,
    Response,
}

/// The edits of a host or a route; nothing if the table is empty.
pub(super) fn read(node: &Node<'_>) -> Option<Option<Headers>> {
    let table = node.table(HEADERS)?;
    let request = table.read("request", HeaderEdits::default(), |node| edits(&node, Direction::Request));
    let response = table.read("response", HeaderEdits::default(), |node| edits(&node, Direction::Response));
    let headers = Headers { request: request?, response: response? };
    Some((headers != Headers::default()).then_some(headers))
}

fn edits(node: &Node<'_>, direction: Direction) -> Option<HeaderEdits> {
    let table = node.table(EDITS)?;
    let set = table.read("set", Vec::new(), |node| fields(&node, direction));
    let add = table.read("add", Vec::new(), |node| fields(&node, direction));
    let remove = remove(&table, direction);
    Some(HeaderEdits { set: set?, add: add?, remove: remove? })
}

fn remove(table: &Table<'_>, direction: Direction) -> Option<Vec<HeaderName>> {
    table.read("remove", Vec::new(), |node| {
        crate::check::every(&node.list("a list of field names such as [Server]")?, |node| {
            let text = node.text(NAME)?;
            name(text, direction).or_else(|wrong| node.reject(wrong).ok_or(())).ok()
        })
    })
}

fn fields(node: &Node<'_>, direction: Direction) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let mut names = Vec::new();
    let entries = node.entries("a table of { NAME: VALUE }")?;
    let read = entries.iter().map(|(key, node)| {
        let name = name(key, direction).or_else(|wrong| node.reject_key(wrong).ok_or(())).ok();
        let value = value(node);
        let (name, value) = (name?, value?);
        if names.contains(&name) {
            return node.reject_key("the same field as one above it: expected each name once");
        }
        names.push(name.clone());
        Some((name, value))
    });
    let read: Vec<Option<_>> = read.collect();
    read.into_iter().collect()
}

/// A field's value: printable ASCII, so that no line of it can end the header.
pub(super) fn value(node: &Node<'_>) -> Option<HeaderValue> {
    let text = node.text(VALUE)?.trim();
    match HeaderValue::from_str(text) {
        Ok(value) if text.is_ascii() => Some(value),
        _ => node.reject("holds a character that a header field cannot carry: expected printable ASCII"),
    }
}

/// A field that may be changed, or why it may not.
fn name(text: &str, direction: Direction) -> Result<HeaderName, String> {
    let name = HeaderName::from_bytes(text.as_bytes()).map_err(|_| format!("expected {NAME}"))?;
    // What an app cannot tell from the dashed spelling is judged like it.
    let dashed = name.as_str().replace('_', "-");
    if CONNECTION.contains(&dashed.as_str()) || dashed.starts_with("proxy-") {
        return Err(
            "says where a message ends or concerns one connection: Tidegate sets it; expected another field".to_owned()
        );
    }
    if dashed.starts_with("x-tidegate") {
        return Err("names that start with X-Tidegate are Tidegate's own: expected another field".to_owned());
    }
    if direction == Direction::Request {
        if dashed == "host" {
            return Err("says which site is asked for: expected another field".to_owned());
        }
        if name.as_str().contains('_') {
            return Err(format!("apps cannot tell _ from -: expected {dashed:?}"));
        }
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fields_that_are_the_operators_can_be_changed() {
        for (text, request, response) in [
            ("X-Robots-Tag", true, true),
            ("server", true, true),
            ("Set-Cookie", true, true),
            ("X-Forwarded-Prefix", true, true),
            ("Host", false, true),
            ("x_mine", false, true),
            ("Content-Length", false, false),
            ("content_length", false, false),
            ("Transfer-Encoding", false, false),
            ("Connection", false, false),
            ("Upgrade", false, false),
            ("Proxy-Authenticate", false, false),
            ("X-Tidegate", false, false),
            ("x_tidegate", false, false),
            ("X-Tidegate-Cause", false, false),
            ("a b", false, false),
            ("a:", false, false),
            ("", false, false),
            ("caf\u{e9}", false, false),
        ] {
            let is = |direction| name(text, direction).is_ok();
            assert_eq!((is(Direction::Request), is(Direction::Response)), (request, response), "{text}");
        }
    }
}
