//! Concurrency limits: how many requests may be under way at once. Called by `limits` for a route that has
//! one. A request is under way until its response has left.

use std::collections::HashMap;
use std::hash::RandomState;
use std::sync::Arc;

use parking_lot::Mutex;
use tidegate_contract::Cause;
use tidegate_site::Concurrency;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::notice::Notice;
use super::{Subject, key};
use crate::metrics::LimitMetrics;
use crate::request::error::Failure;

/// Parts of the table, so that requests of different keys seldom meet at a lock.
const SHARDS: usize = 16;

/// A concurrency limit at work.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) rule: Concurrency,
    /// Keys of requests that are under way or wait: there are never more of them than of those.
    shards: [Mutex<HashMap<u64, Lane>>; SHARDS],
    hashes: RandomState,
    notice: Notice,
}

/// The requests of one key.
#[derive(Debug)]
struct Lane {
    turns: Arc<Semaphore>,
    /// Under way or waiting.
    requests: usize,
}

/// A request's place among those under way, given back on drop.
#[derive(Debug)]
pub(crate) struct Turn {
    _permit: OwnedSemaphorePermit,
    _entry: Entry,
}

/// A request's share in its lane.
#[derive(Debug)]
struct Entry {
    gate: Arc<Gate>,
    key: u64,
}

impl Gate {
    /// Nothing is under way.
    pub(super) fn new(rule: &Concurrency, metrics: LimitMetrics) -> Self {
        Self {
            notice: Notice::new(&rule.place, &format!("concurrency {}", rule.per.label()), metrics),
            rule: rule.clone(),
            shards: Default::default(),
            hashes: RandomState::new(),
        }
    }

    /// Waits for a turn as long as the rule allows. Dropping the future gives the place up.
    pub(super) async fn enter(self: &Arc<Self>, subject: &Subject<'_>) -> Result<Turn, Failure> {
        let key = key::hash(&self.rule.per, subject, &self.hashes);
        let turns = {
            let mut shard = self.shard(key).lock();
            let lane = shard
                .entry(key)
                .or_insert_with(|| Lane { turns: Arc::new(Semaphore::new(self.rule.limit)), requests: 0 });
            lane.requests += 1;
            Arc::clone(&lane.turns)
        };
        let entry = Entry { gate: Arc::clone(self), key };
        // Nobody overtakes those who wait: a semaphore's permits go to them first.
        let permit = match Arc::clone(&turns).try_acquire_owned() {
            Ok(permit) => Some(permit),
            Err(_) if self.rule.wait.is_zero() => None,
            // The semaphore is never closed.
            Err(_) => tokio::time::timeout(self.rule.wait, turns.acquire_owned()).await.ok().and_then(Result::ok),
        };
        match permit {
            Some(permit) => Ok(Turn { _permit: permit, _entry: entry }),
            None => {
                self.notice.limited(subject.client, false);
                Err(Failure::new(Cause::ConcurrencyLimited, "as many requests as may be are under way (concurrency)"))
            }
        }
    }

    fn shard(&self, key: u64) -> &Mutex<HashMap<u64, Lane>> {
        // The remainder is below 16.
        &self.shards[(key % SHARDS as u64) as usize]
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut shard = self.gate.shard(self.key).lock();
        if let Some(lane) = shard.get_mut(&self.key) {
            lane.requests -= 1;
            if lane.requests == 0 {
                shard.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt as _;
    use http::HeaderMap;
    use tidegate_site::LimitKey;

    use super::*;
    use crate::metrics::Metrics;

    fn gate(limit: usize, per: LimitKey, wait: Duration) -> Arc<Gate> {
        let rule = Concurrency { place: "shop".into(), limit, per, wait };
        Arc::new(Gate::new(&rule, Metrics::new("0").limit("shop", "concurrency")))
    }

    fn enter(gate: &Arc<Gate>, client: &str) -> Option<Turn> {
        let subject = Subject { client: client.parse().unwrap(), headers: &HeaderMap::new(), prefix: "" };
        gate.enter(&subject).now_or_never()?.ok()
    }

    #[tokio::test]
    async fn each_key_has_so_many_turns_and_is_forgotten_after_them() {
        let gate = gate(1, LimitKey::Address, Duration::ZERO);
        let first = enter(&gate, "192.0.2.1").unwrap();
        assert!(enter(&gate, "192.0.2.1").is_none());
        let other = enter(&gate, "192.0.2.2").unwrap();
        drop(first);
        drop(enter(&gate, "192.0.2.1").unwrap());
        drop(other);
        assert!(gate.shards.iter().all(|shard| shard.lock().is_empty()));
    }

    #[tokio::test]
    async fn who_waits_is_next_and_who_leaves_takes_nothing() {
        let gate = gate(1, LimitKey::Route, Duration::from_secs(3600));
        let headers = HeaderMap::new();
        let subject = Subject { client: "192.0.2.1".parse().unwrap(), headers: &headers, prefix: "" };
        let first = enter(&gate, "192.0.2.1").unwrap();
        let mut second = Box::pin(gate.enter(&subject));
        let mut gone = Box::pin(gate.enter(&subject));
        assert!(second.as_mut().now_or_never().is_none());
        assert!(gone.as_mut().now_or_never().is_none());
        drop(first);
        assert!(enter(&gate, "192.0.2.1").is_none(), "nobody overtakes");
        drop(gone);
        drop(second.await.unwrap());
        drop(enter(&gate, "192.0.2.1").unwrap());
        assert!(gate.shards.iter().all(|shard| shard.lock().is_empty()));
    }
}
