//! `rate_limits` and `concurrency`: how much of a route a client may have, and at once.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;

use crate::check::{LONGEST, SHORTEST, every};
use crate::checked::{Concurrency, LimitKey, RateLimit, RateLimits};
use crate::defaults;
use crate::raw::{Node, Table};

/// Keys of an element of `rate_limits`.
pub(crate) const RATE_LIMIT: &[&str] = &["key", "rate", "burst", "keys", "dry_run"];
/// Keys of `concurrency`.
pub(crate) const CONCURRENCY: &[&str] = &["limit", "per", "wait"];

const RATE: &str = "requests in a second, minute or hour such as 10/s, 100/m or 1000/h";
const KEY: &str = "address, route or a field such as header X-Api-Key";

/// Beyond it nothing is limited any more.
const HIGHEST_RATE: u32 = 1_000_000;

/// The limits of a host or a route; nothing if the list is empty.
pub(super) fn rate_limits(node: &Node<'_>, place: &str) -> Option<Option<Arc<RateLimits>>> {
    if node.is_off() {
        return Some(None);
    }
    let nodes = node.list("a list of { key: address, rate: 10/s }")?;
    let mut limits: Vec<RateLimit> = Vec::new();
    every(&nodes, |node| {
        let limit = rate_limit(&node.table(RATE_LIMIT)?)?;
        if limits.contains(&limit) {
            return node.reject_key("the same as one above it: expected each limit once");
        }
        limits.push(limit);
        Some(())
    })?;
    Some((!limits.is_empty()).then(|| Arc::new(RateLimits { place: place.into(), limits })))
}

fn rate_limit(table: &Table<'_>) -> Option<RateLimit> {
    let key = table.read("key", LimitKey::Address, |node| key(&node));
    let rate = table.require("rate", RATE).and_then(|node| {
        let text = node.text(RATE)?;
        rate(text).or_else(|| node.reject(format_args!("expected {RATE}")))
    });
    let burst = table.read("burst", None, |node| node.integer(1..=HIGHEST_RATE).map(Some));
    let keys = table.read("keys", defaults::RATE_LIMIT_KEYS, |node| node.integer(64..=16 << 20));
    let dry_run = table.read("dry_run", defaults::DRY_RUN, |node| node.switch());
    let (count, period) = rate?;
    Some(RateLimit { key: key?, count, period, burst: burst?.unwrap_or(count), keys: keys?, dry_run: dry_run? })
}

fn rate(text: &str) -> Option<(u32, Duration)> {
    let (count, unit) = text.split_once('/')?;
    let seconds = match unit.trim() {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    let count = count.trim();
    // Not what `parse` takes beside digits: a plus sign.
    let count = count.bytes().all(|byte| byte.is_ascii_digit()).then(|| count.parse().ok())??;
    (1..=HIGHEST_RATE).contains(&count).then(|| (count, Duration::from_secs(seconds)))
}

fn key(node: &Node<'_>) -> Option<LimitKey> {
    let text = node.text(KEY)?;
    match text.split_once(' ') {
        None if text == "address" => Some(LimitKey::Address),
        None if text == "route" => Some(LimitKey::Route),
        Some(("header", name)) if let Ok(name) = HeaderName::from_bytes(name.trim().as_bytes()) => {
            Some(LimitKey::Header(name))
        }
        _ => node.reject(format_args!("expected {KEY}")),
    }
}

/// The limit of a host or a route; nothing if it is off.
pub(super) fn concurrency(node: &Node<'_>, place: &str) -> Option<Option<Arc<Concurrency>>> {
    if node.is_off() {
        return Some(None);
    }
    let table = node.table(CONCURRENCY)?;
    const LIMIT: &str = "how many requests at once";
    let limit = table.require("limit", LIMIT).and_then(|node| node.integer(1..=1_000_000));
    let per = table.read("per", LimitKey::Route, |node| {
        let by_address = node.choice(&[("route", false), ("address", true)])?;
        Some(if by_address { LimitKey::Address } else { LimitKey::Route })
    });
    let wait = table.read("wait", Duration::ZERO, |node| {
        if node.is_off() { Some(Duration::ZERO) } else { node.duration(SHORTEST..=LONGEST) }
    });
    Some(Some(Arc::new(Concurrency { place: place.into(), limit: limit?, per: per?, wait: wait? })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_a_count_and_a_period() {
        for (text, expected) in [
            ("10/s", Some((10, 1))),
            ("100/m", Some((100, 60))),
            ("1000/h", Some((1000, 3600))),
            ("10 / s", Some((10, 1))),
            ("1000000/s", Some((1_000_000, 1))),
            ("1000001/s", None),
            ("0/s", None),
            ("+1/s", None),
            ("/s", None),
            ("10", None),
            ("10/d", None),
            ("1.5/s", None),
            ("10/s/s", None),
        ] {
            assert_eq!(rate(text), expected.map(|(count, seconds)| (count, Duration::from_secs(seconds))), "{text}");
        }
    }
}
