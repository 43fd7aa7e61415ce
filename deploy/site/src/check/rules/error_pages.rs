//! `error_pages`: the operator's own pages. Their files are read here, so that a page that is missing or
//! too large is a problem of the file, and never of a request.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::check::paths::Base;
use crate::checked::{ErrorPage, ErrorPages, PageForm, PagePiece, Statuses};
use crate::raw::Node;
use crate::syntax;
use crate::units;

/// A page with a picture or two inside; it is in memory, and sent to whoever fails.
const LARGEST: usize = 256 << 10;

const FILE: &str = "a .html, .txt or .json file";
const STATUS: &str = "a status from 400 to 599, 4xx or 5xx";

/// The pages of a host or a route; nothing if the table is empty.
pub(super) fn read(node: &Node<'_>, base: &Base) -> Option<Option<Arc<ErrorPages>>> {
    if node.is_off() {
        return Some(None);
    }
    let mut taken = BTreeSet::new();
    let read = |(key, node): &(String, Node<'_>)| {
        let statuses = match statuses(key) {
            Some(statuses) if taken.insert(statuses) => Some(statuses),
            Some(_) => node.reject_key("given twice: expected each status once"),
            None => node.reject_key(format!("expected {STATUS}")),
        };
        let page = page(node, base);
        let (form, pieces) = page?;
        Some(ErrorPage { statuses: statuses?, form, pieces })
    };
    let pages: Vec<Option<ErrorPage>> =
        node.numbered("a table of { 404: FILE, 5xx: FILE }")?.iter().map(read).collect();
    let pages: Option<Vec<ErrorPage>> = pages.into_iter().collect();
    let pages = pages?;
    Some((!pages.is_empty()).then(|| Arc::new(ErrorPages(pages))))
}

fn statuses(key: &str) -> Option<Statuses> {
    match key {
        "4xx" => Some(Statuses::Class(4)),
        "5xx" => Some(Statuses::Class(5)),
        _ => key.parse().ok().filter(|status| (400..=599).contains(status)).map(Statuses::One),
    }
}

fn page(node: &Node<'_>, base: &Base) -> Option<(PageForm, Vec<PagePiece>)> {
    let path = base.file(node, FILE)?;
    let Some(form) = form(&path) else {
        return node.reject(format_args!("expected {FILE}"));
    };
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) => return node.reject(format_args!("{} cannot be read: {error}", path.display())),
    };
    if bytes.len() > LARGEST {
        let largest = units::show_size(LARGEST as u64);
        return node.reject(format_args!("{} is too large: expected {largest} at most", path.display()));
    }
    match syntax::text(&bytes) {
        Ok(text) => Some((form, pieces(text))),
        Err(message) => node.reject(format_args!("{} {message}", path.display())),
    }
}

fn form(path: &Path) -> Option<PageForm> {
    match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "html" | "htm" => Some(PageForm::Html),
        "txt" => Some(PageForm::Text),
        "json" => Some(PageForm::Json),
        _ => None,
    }
}

/// Braces that are no placeholder, as in CSS and JSON, are text.
fn pieces(text: &str) -> Vec<PagePiece> {
    let placeholders = [
        ("{status}", PagePiece::Status),
        ("{reason}", PagePiece::Reason),
        ("{cause}", PagePiece::Cause),
        ("{request_id}", PagePiece::RequestId),
        ("{message}", PagePiece::Message),
    ];
    let mut pieces = Vec::new();
    let (mut start, mut from) = (0, 0);
    while let Some(found) = text[from..].find('{') {
        let at = from + found;
        match placeholders.iter().find(|(name, _)| text[at..].starts_with(name)) {
            Some((name, piece)) => {
                if start < at {
                    pieces.push(PagePiece::Text(text[start..at].to_owned()));
                }
                pieces.push(piece.clone());
                start = at + name.len();
                from = start;
            }
            None => from = at + 1,
        }
    }
    if start < text.len() {
        pieces.push(PagePiece::Text(text[start..].to_owned()));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_taken_apart_at_its_placeholders() {
        let text = |text: &str| PagePiece::Text(text.to_owned());
        for (page, expected) in [
            ("", vec![]),
            ("plain", vec![text("plain")]),
            ("{status}", vec![PagePiece::Status]),
            ("a {status}: {reason}!", vec![text("a "), PagePiece::Status, text(": "), PagePiece::Reason, text("!")]),
            ("p{color:red}{{cause}}", vec![text("p{color:red}{"), PagePiece::Cause, text("}")]),
            ("{unknown} {message", vec![text("{unknown} {message")]),
            ("é{request_id}é{message}", vec![text("é"), PagePiece::RequestId, text("é"), PagePiece::Message]),
        ] {
            assert_eq!(pieces(page), expected, "{page}");
        }
    }

    #[test]
    fn keys_are_statuses_of_failures() {
        for (key, expected) in [
            ("404", Some(Statuses::One(404))),
            ("599", Some(Statuses::One(599))),
            ("4xx", Some(Statuses::Class(4))),
            ("5xx", Some(Statuses::Class(5))),
            ("399", None),
            ("600", None),
            ("3xx", None),
            ("5XX", None),
            ("", None),
        ] {
            assert_eq!(statuses(key), expected, "{key}");
        }
    }
}
