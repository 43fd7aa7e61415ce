//! What operators hear of a limit at work: a counter for each request, and a line in the log now and then,
//! because a line for each request would be a second flood.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::metrics::LimitMetrics;

/// Between two lines of one limit.
const PAUSE: Duration = Duration::from_secs(10);

/// Tells of one limit.
#[derive(Debug)]
pub(super) struct Notice {
    place: Arc<str>,
    limit: String,
    metrics: LimitMetrics,
    said: Mutex<Said>,
}

#[derive(Debug, Default)]
struct Said {
    last: Option<Instant>,
    since: u64,
}

impl Notice {
    /// Nothing was said yet.
    pub(super) fn new(place: &str, limit: &str, metrics: LimitMetrics) -> Self {
        Self { place: place.into(), limit: limit.to_owned(), metrics, said: Mutex::default() }
    }

    /// A request was over the limit; with `dry_run` it was served all the same.
    pub(super) fn limited(&self, client: IpAddr, dry_run: bool) {
        self.metrics.limited(dry_run);
        let requests = {
            let mut said = self.said.lock();
            said.since += 1;
            if said.last.is_some_and(|last| last.elapsed() < PAUSE) {
                return;
            }
            said.last = Some(Instant::now());
            std::mem::take(&mut said.since)
        };
        let (place, limit) = (&*self.place, self.limit.as_str());
        if dry_run {
            tracing::warn!(place, limit, requests, %client, "over a limit that only counts (dry_run)");
        } else {
            tracing::warn!(place, limit, requests, %client, "over a limit: refused");
        }
    }
}
