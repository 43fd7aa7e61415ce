//! `hsts`: how long browsers are to ask this host over https only.

use std::time::Duration;

use http::HeaderValue;

use crate::defaults;
use crate::raw::Node;

/// Keys of `hsts`.
pub(crate) const HSTS: &[&str] = &["max_age", "include_subdomains", "preload"];

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// The value of Strict-Transport-Security; none where it is off.
pub(super) fn read(node: &Node<'_>) -> Option<Option<HeaderValue>> {
    if node.is_off() {
        return Some(None);
    }
    if node.is_on() {
        return Some(value(defaults::HSTS_MAX_AGE, false, false));
    }
    if !node.is_table() {
        return node.reject("expected on, off or a table such as { max_age: 8760h, include_subdomains: on }");
    }
    let table = node.table(HSTS)?;
    // 0 makes browsers forget.
    let max_age = table.read("max_age", defaults::HSTS_MAX_AGE, |node| {
        if node.is_integer(0) { Some(Duration::ZERO) } else { node.duration(Duration::from_secs(1)..=YEAR * 10) }
    });
    let subdomains = table.read("include_subdomains", false, |node| node.switch());
    let preload = table.read("preload", false, |node| node.switch());
    let (max_age, subdomains, preload) = (max_age?, subdomains?, preload?);
    if preload && !(subdomains && max_age >= YEAR) {
        let message = "on: browsers' lists take hosts with include_subdomains: on and a max_age of 8760h or more: \
                       expected both beside it";
        table.problems().add(&table.path("preload"), message);
        return None;
    }
    Some(value(max_age, subdomains, preload))
}

fn value(max_age: Duration, subdomains: bool, preload: bool) -> Option<HeaderValue> {
    let subdomains = if subdomains { "; includeSubDomains" } else { "" };
    let preload = if preload { "; preload" } else { "" };
    HeaderValue::try_from(format!("max-age={}{subdomains}{preload}", max_age.as_secs())).ok()
}
