//! Rules: the keys that may stand in a host and in a route alike. Called by `hosts` for each; a
//! route's own key replaces its host's whole value, and an empty value leaves nothing of it.

pub(crate) mod basic_auth;
pub(crate) mod compress;
pub(crate) mod cors;
mod error_pages;
pub(crate) mod headers;
pub(crate) mod hsts;
pub(crate) mod traffic;

use crate::check::networks;
use crate::check::paths::Base;
use crate::checked::Rules;
use crate::raw::Table;

/// Keys of a host and of a route.
pub(crate) const RULES: &[&str] = &[
    "headers",
    "rate_limits",
    "concurrency",
    "compress",
    "error_pages",
    "error_pages_for_app",
    "allow",
    "deny",
    "security_headers",
    "hsts",
    "cors",
    "basic_auth",
];

/// The rules of a host or a route, over those that it inherits. `place` names it in metrics and logs.
pub(crate) fn read(table: &Table<'_>, inherited: &Rules, place: &str, base: &Base) -> Option<Rules> {
    let pages = table.read("error_pages", inherited.error_pages.clone(), |node| error_pages::read(&node, base));
    let for_app = table.read("error_pages_for_app", inherited.error_pages_for_app, |node| node.switch());
    let rates = table.read("rate_limits", inherited.rate_limits.clone(), |node| traffic::rate_limits(&node, place));
    let concurrency =
        table.read("concurrency", inherited.concurrency.clone(), |node| traffic::concurrency(&node, place));
    let headers = table.read("headers", inherited.headers.clone(), |node| headers::read(&node));
    let compress = table.read("compress", inherited.compress.clone(), |node| compress::read(&node));
    let allow = table.read("allow", inherited.allow.clone(), |node| networks(&node));
    let deny = table.read("deny", inherited.deny.clone(), |node| networks(&node));
    let security_headers = table.read("security_headers", inherited.security_headers, |node| node.switch());
    let hsts = table.read("hsts", inherited.hsts.clone(), |node| hsts::read(&node));
    let cors = table.read("cors", inherited.cors.clone(), |node| cors::read(&node));
    let basic_auth = table.read("basic_auth", inherited.basic_auth.clone(), |node| basic_auth::read(&node, base));
    Some(Rules {
        error_pages: pages?,
        error_pages_for_app: for_app?,
        rate_limits: rates?,
        concurrency: concurrency?,
        headers: headers?,
        compress: compress?,
        allow: allow?,
        deny: deny?,
        security_headers: security_headers?,
        hsts: hsts?,
        cors: cors?,
        basic_auth: basic_auth?,
    })
}
