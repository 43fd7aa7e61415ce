//! `redirects` and `rewrites` of a host, and `redirect` of a route: which paths, and where to.

use regex::{Regex, RegexBuilder};

use crate::checked::{Destination, Expression, Part, Pattern, Redirect, Redirection, Rewrite};
use crate::defaults;
use crate::raw::{Node, Table};

/// Keys of a redirect in a host.
pub(crate) const REDIRECT: &[&str] = &["from", "match", "to", "status", "query"];
/// Keys of a rewrite in a host.
pub(crate) const REWRITE: &[&str] = &["from", "match", "to"];
/// Keys of a route's redirect.
pub(crate) const TARGET: &[&str] = &["to", "status", "query"];

/// A compiled expression and the tables it makes while it runs: large enough for lists of names, small enough for
/// hundreds of expressions.
const EXPRESSION_SIZE: usize = 1 << 20;

const FROM: &str = "a path such as /old, or /old/* for it and all below it";
const MATCH: &str = "a regular expression such as '^/item/(\\d+)$'";
const TO: &str = "a path such as /new or an address such as https://shop.example/new";
const TO_PATH: &str = "a path such as /new";

/// The redirects of a host.
pub(super) fn redirects(node: &Node<'_>) -> Option<Vec<Redirect>> {
    super::every(&node.list("a list of { from: /old, to: /new }")?, |node| {
        let table = node.table(REDIRECT)?;
        let pattern = pattern(&table);
        let to = pattern.as_ref().and_then(|pattern| to(&table, Places::of(pattern), Reach::Anywhere));
        let status = status(&table);
        let keep_query = keep_query(&table);
        let (pattern, to) = (pattern?, to?);
        if leads_back(&pattern, &to) {
            return table.reject("leads back to itself: expected a destination that it does not redirect again");
        }
        Some(Redirect { pattern, answer: Redirection { to, status: status?, keep_query: keep_query? } })
    })
}

/// The rewrites of a host.
pub(super) fn rewrites(node: &Node<'_>) -> Option<Vec<Rewrite>> {
    super::every(&node.list("a list of { from: /old/*, to: /new/{rest} }")?, |node| {
        let table = node.table(REWRITE)?;
        let pattern = pattern(&table)?;
        let to = to(&table, Places::of(&pattern), Reach::Here)?;
        Some(Rewrite { pattern, to })
    })
}

/// The redirect that answers a route: an address, or a table.
pub(super) fn target(node: &Node<'_>) -> Option<Redirection> {
    if !node.is_table() {
        let to = destination(node, Places::Rest, Reach::Anywhere)?;
        return Some(Redirection { to, status: defaults::REDIRECT_STATUS, keep_query: defaults::KEEP_QUERY });
    }
    let table = node.table(TARGET)?;
    let to = to(&table, Places::Rest, Reach::Anywhere);
    let status = status(&table);
    let keep_query = keep_query(&table);
    Some(Redirection { to: to?, status: status?, keep_query: keep_query? })
}

fn status(table: &Table<'_>) -> Option<u16> {
    const STATUSES: [u64; 5] = [301, 302, 303, 307, 308];
    table.read("status", defaults::REDIRECT_STATUS, |node| {
        match STATUSES.iter().find(|status| node.is_integer(**status)) {
            // Each fits.
            Some(status) => u16::try_from(*status).ok(),
            None => node.reject("expected 301, 302, 303, 307 or 308"),
        }
    })
}

fn keep_query(table: &Table<'_>) -> Option<bool> {
    table.read("query", defaults::KEEP_QUERY, |node| node.choice(&[("keep", true), ("drop", false)]))
}

fn pattern(table: &Table<'_>) -> Option<Pattern> {
    match (table.get("from"), table.get("match")) {
        (Some(node), None) => from(&node),
        (None, Some(node)) => expression(&node).map(|regex| Pattern::Expression(Expression(regex))),
        (Some(_), Some(_)) => table.reject("has both from and match: expected one of them"),
        (None, None) => table.reject("has neither from nor match: expected one of them"),
    }
}

fn from(node: &Node<'_>) -> Option<Pattern> {
    let text = node.text(FROM)?;
    let path = text.strip_suffix("/*");
    let wrong = if !text.starts_with('/') {
        "does not start with /"
    } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) || text.contains(['?', '#', '\\']) {
        "holds a space, a non-ASCII character, ?, # or \\ (paths are compared as clients send them, with %C3%A9 for \u{e9})"
    } else if path.unwrap_or(text).contains('*') {
        "holds a * that is not its last segment"
    } else {
        return Some(match path {
            Some(path) => Pattern::Below(path.to_owned()),
            None => Pattern::Path(text.to_owned()),
        });
    };
    node.reject(format_args!("{wrong}: expected {FROM}"))
}

fn expression(node: &Node<'_>) -> Option<Regex> {
    let text = node.text(MATCH)?;
    let built = RegexBuilder::new(text).size_limit(EXPRESSION_SIZE).dfa_size_limit(EXPRESSION_SIZE).build();
    built
        .map_err(|error| reason(&error))
        .or_else(|reason| node.reject(format_args!("{reason}: expected {MATCH}")).ok_or(()))
        .ok()
}

/// What is wrong with an expression, in one line. The whole message draws the place over several.
fn reason(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => "needs too much memory".to_owned(),
        other => {
            let text = other.to_string();
            let last = text.lines().next_back().unwrap_or_default();
            last.strip_prefix("error: ").unwrap_or(last).to_owned()
        }
    }
}

/// Which places a destination may have.
#[derive(Clone, Copy)]
enum Places<'p> {
    None,
    Rest,
    Groups(&'p Regex),
}

impl<'p> Places<'p> {
    fn of(pattern: &'p Pattern) -> Self {
        match pattern {
            Pattern::Path(_) => Self::None,
            Pattern::Below(_) => Self::Rest,
            Pattern::Expression(expression) => Self::Groups(&expression.0),
        }
    }
}

/// How far a destination may lead.
#[derive(Clone, Copy, PartialEq)]
enum Reach {
    /// To a path of this site, without a word to the client.
    Here,
    /// To any address.
    Anywhere,
}

fn to(table: &Table<'_>, places: Places<'_>, reach: Reach) -> Option<Destination> {
    let expected = if reach == Reach::Here { TO_PATH } else { TO };
    table.require("to", expected).and_then(|node| destination(&node, places, reach))
}

fn destination(node: &Node<'_>, places: Places<'_>, reach: Reach) -> Option<Destination> {
    let expected = if reach == Reach::Here { TO_PATH } else { TO };
    let text = node.text(expected)?;
    let read = || {
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) || text.contains(['\\', '#']) {
            return Err("holds a space, a non-ASCII character, \\ or #".to_owned());
        }
        let fixed = fixed(text, reach)?;
        let (head, tail) = text.split_at(fixed);
        let mut parts = parts(tail, places)?;
        match parts.first_mut() {
            Some(Part::Text(first)) => first.insert_str(0, head),
            _ if !head.is_empty() => parts.insert(0, Part::Text(head.to_owned())),
            _ => {}
        }
        Ok(Destination(parts))
    };
    read().map_err(|wrong: String| node.reject::<()>(format_args!("{wrong}: expected {expected}"))).ok()
}

/// The length of scheme and host with the slash after them, or of the first slash: there are no places in it.
fn fixed(text: &str, reach: Reach) -> Result<usize, String> {
    if text.starts_with("//") {
        return Err("starts with //, which leads to another site".to_owned());
    }
    if text.starts_with('/') {
        return Ok(1);
    }
    let rest = ["https://", "http://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    let Some(rest) = rest.filter(|_| reach == Reach::Anywhere) else {
        return Err(
            "does not start with /".to_owned() + if reach == Reach::Anywhere { ", https:// or http://" } else { "" }
        );
    };
    let host = rest.split('/').next().unwrap_or_default();
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    if host.is_empty() || !host.bytes().all(good) {
        return Err(format!("{host:?} is not a host (no place of a path can be in it)"));
    }
    if host.len() == rest.len() {
        return Err("ends with its host; a / after it says which page".to_owned());
    }
    Ok(text.len() - rest.len() + host.len() + 1)
}

fn parts(text: &str, places: Places<'_>) -> Result<Vec<Part>, String> {
    match places {
        Places::None if text.contains("{rest}") => Err("{rest} needs a from that ends with /*".to_owned()),
        Places::None => Ok(vec![Part::Text(text.to_owned())]),
        Places::Rest => {
            let mut parts = Vec::new();
            for (index, piece) in text.split("{rest}").enumerate() {
                if index > 0 {
                    parts.push(Part::Rest);
                }
                if !piece.is_empty() {
                    parts.push(Part::Text(piece.to_owned()));
                }
            }
            Ok(parts)
        }
        Places::Groups(regex) => groups(text, regex),
    }
}

/// `$1`, `${1}`, `${name}`, and `$$` for a dollar.
fn groups(mut text: &str, regex: &Regex) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    while let Some(at) = text.find('$') {
        plain.push_str(&text[..at]);
        text = &text[at + 1..];
        if let Some(rest) = text.strip_prefix('$') {
            plain.push('$');
            text = rest;
            continue;
        }
        let name = match text.strip_prefix('{') {
            Some(braced) => {
                let end = braced.find('}').ok_or("has a ${ without its }")?;
                text = &braced[end + 1..];
                &braced[..end]
            }
            None => {
                let end = text.bytes().take_while(u8::is_ascii_digit).count();
                let (name, rest) = text.split_at(end);
                text = rest;
                name
            }
        };
        let group = match name.parse::<usize>() {
            Ok(number) => Some(number).filter(|number| *number < regex.captures_len()),
            Err(_) => regex.capture_names().position(|known| known == Some(name)),
        };
        let group = group.ok_or_else(|| format!("has ${name}, and the expression no such group ($$ is a dollar)"))?;
        if !plain.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut plain)));
        }
        parts.push(Part::Group(group));
    }
    plain.push_str(text);
    if !plain.is_empty() {
        parts.push(Part::Text(plain));
    }
    Ok(parts)
}

/// Whether every request that is redirected is sent to a path that is redirected again, for ever.
fn leads_back(pattern: &Pattern, to: &Destination) -> bool {
    let first = match to.0.first() {
        Some(Part::Text(text)) => text.split('?').next().unwrap_or_default(),
        _ => "",
    };
    match pattern {
        Pattern::Path(path) => to.0.len() == 1 && first == path,
        Pattern::Below(path) => {
            let below = first.strip_prefix(path.as_str());
            below.is_some_and(|rest| rest.starts_with('/') || (rest.is_empty() && to.0.len() == 1))
        }
        Pattern::Expression(expression) => to.0.len() == 1 && expression.0.is_match(first),
    }
}
