//! Checked: how much of a route a client may have, and at once.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;

/// Rate limits that stand in one place of the file. What is counted is counted for that place: a host's
/// limit over all routes that have none of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimits {
    /// The host's first name, and the route's path if it is a route's: `shop.example/login`.
    pub place: Arc<str>,
    /// Each has to be kept.
    pub limits: Vec<RateLimit>,
}

/// So many requests in a period for each key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimit {
    /// What has a rate of its own.
    pub key: LimitKey,
    /// Requests in a period.
    pub count: u32,
    /// The period.
    pub period: Duration,
    /// Requests that may come at once.
    pub burst: u32,
    /// Keys that are remembered.
    pub keys: usize,
    /// Whether requests over the limit are only counted.
    pub dry_run: bool,
}

/// What has a limit of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LimitKey {
    /// Each client address; of IPv6 each network of 64 bits.
    Address,
    /// Each value of this field; a request without it counts by its address.
    Header(HeaderName),
    /// Each route.
    Route,
}

/// So many requests at once for each key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concurrency {
    /// As of [`RateLimits::place`].
    pub place: Arc<str>,
    /// Requests at once.
    pub limit: usize,
    /// What has a limit of its own; never a field.
    pub per: LimitKey,
    /// How long a request may wait for its turn; zero if it may not.
    pub wait: Duration,
}

impl LimitKey {
    /// As the site file and metrics have it: `address`, `route`, `header x-api-key`.
    pub fn label(&self) -> String {
        match self {
            Self::Address => "address".to_owned(),
            Self::Header(name) => format!("header {name}"),
            Self::Route => "route".to_owned(),
        }
    }
}
