//! Rate limits: how many requests a client may send. Called by `limits` for a route that has some.

use std::hash::RandomState;
use std::time::{Duration, Instant};

use tidegate_site::RateLimit;

use super::bucket::{Buckets, Rate};
use super::notice::Notice;
use super::{Subject, key};
use crate::metrics::LimitMetrics;
use crate::request::error::Failure;

/// A rate limit at work.
#[derive(Debug)]
pub(super) struct Limiter {
    pub(super) rule: RateLimit,
    buckets: Buckets,
    hashes: RandomState,
    start: Instant,
    notice: Notice,
}

impl Limiter {
    /// Nobody has sent anything.
    pub(super) fn new(place: &str, rule: &RateLimit, metrics: LimitMetrics) -> Self {
        let interval = rule.period.as_nanos() / u128::from(rule.count);
        let rate = Rate { interval: u64::try_from(interval).unwrap_or(u64::MAX).max(1), burst: rule.burst };
        Self {
            buckets: Buckets::new(rate, rule.keys),
            hashes: RandomState::new(),
            // A bucket is full at 0: long before the first request.
            start: Instant::now(),
            notice: Notice::new(place, &format!("rate_limits {}", rule.key.label()), metrics),
            rule: rule.clone(),
        }
    }

    /// Counts a request.
    pub(super) fn check(&self, subject: &Subject<'_>) -> Result<(), Failure> {
        let now = u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let key = key::hash(&self.rule.key, subject, &self.hashes);
        let Err(wait) = self.buckets.take(key, now) else { return Ok(()) };
        self.notice.limited(subject.client, self.rule.dry_run);
        if self.rule.dry_run {
            return Ok(());
        }
        Err(Failure::rate_limited(Duration::from_nanos(wait)))
    }
}
