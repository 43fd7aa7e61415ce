//! What happened: counts, and latencies in buckets of constant relative width.

use std::collections::BTreeMap;
use std::time::Duration;

/// Why a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Failure {
    /// No connection.
    Connect,
    /// No TLS handshake.
    Tls,
    /// No complete answer in time.
    Timeout,
    /// The connection ended before the answer did.
    Closed,
    /// The answer was not HTTP/1.1.
    Malformed,
    /// The answer was an error.
    Status(u16),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Connect => f.write_str("connect"),
            Self::Tls => f.write_str("tls"),
            Self::Timeout => f.write_str("timeout"),
            Self::Closed => f.write_str("closed"),
            Self::Malformed => f.write_str("malformed"),
            Self::Status(code) => write!(f, "status_{code}"),
        }
    }
}

/// The counts of one thread's users, later of all.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Answers without an error.
    pub(crate) good: u64,
    pub(crate) failures: BTreeMap<Failure, u64>,
    /// Connections made.
    pub(crate) connections: u64,
    /// Bytes of answers, headers included.
    pub(crate) received: u64,
    /// Of good answers.
    pub(crate) latencies: Latencies,
}

impl Tally {
    /// A good answer.
    pub(crate) fn succeed(&mut self, latency: Duration) {
        self.good += 1;
        self.latencies.record(latency);
    }

    /// A failure.
    pub(crate) fn fail(&mut self, failure: Failure) {
        *self.failures.entry(failure).or_default() += 1;
    }

    /// All failures.
    pub(crate) fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// Adds another thread's counts.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.good += other.good;
        self.connections += other.connections;
        self.received += other.received;
        for (failure, count) in &other.failures {
            *self.failures.entry(*failure).or_default() += count;
        }
        self.latencies.merge(&other.latencies);
    }
}

/// Each power of two of microseconds is cut into this many buckets: percentiles are at most 1.6 % too high.
const STEPS: u64 = 64;
const BUCKETS: usize = 64 * 40;

/// A histogram of latencies.
#[derive(Debug)]
pub(crate) struct Latencies {
    buckets: Vec<u64>,
    count: u64,
    sum: Duration,
    max: Duration,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { buckets: vec![0; BUCKETS], count: 0, sum: Duration::ZERO, max: Duration::ZERO }
    }
}

impl Latencies {
    fn record(&mut self, latency: Duration) {
        let index = bucket(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX)).min(BUCKETS - 1);
        self.buckets[index] += 1;
        self.count += 1;
        self.sum += latency;
        self.max = self.max.max(latency);
    }

    fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.count += other.count;
        self.sum += other.sum;
        self.max = self.max.max(other.max);
    }

    /// The latency that this share of the answers did not exceed, in milliseconds.
    pub(crate) fn percentile(&self, share: f64) -> f64 {
        let wanted = (share * self.count as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return (upper_bound(index) as f64 / 1000.0).min(self.max());
            }
        }
        self.max()
    }

    /// The longest, in milliseconds.
    pub(crate) fn max(&self) -> f64 {
        self.max.as_secs_f64() * 1000.0
    }

    /// The mean, in milliseconds.
    pub(crate) fn mean(&self) -> f64 {
        self.sum.as_secs_f64() * 1000.0 / self.count.max(1) as f64
    }
}

/// Below [`STEPS`] a bucket a microsecond, then [`STEPS`] for each power of two.
fn bucket(micros: u64) -> usize {
    let power = u64::from(micros.max(STEPS).ilog2() - STEPS.ilog2());
    // At most 64 * 59.
    (power * STEPS + (micros >> power)) as usize
}

fn upper_bound(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let power = (bucket / STEPS).saturating_sub(1);
    ((bucket - power * STEPS + 1) << power) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_and_hold_what_they_say() {
        let mut last = 0;
        for micros in 0..100_000 {
            let index = bucket(micros);
            assert!(index == last || index == last + 1, "{micros}");
            last = index;
            let bound = upper_bound(index);
            assert!(bound >= micros && bound <= micros + micros / STEPS, "{micros}: {bound}");
        }
        assert!(bucket(Duration::from_secs(3600 * 2).as_micros() as u64) < BUCKETS);
    }

    #[test]
    fn percentiles_are_of_all_users() {
        let mut all = Tally::default();
        for millis in 1..=1000 {
            let mut one = Tally::default();
            one.succeed(Duration::from_millis(millis));
            all.merge(&one);
        }
        let near = |value: f64, expected: f64| (value / expected - 1.0).abs() < 0.02;
        assert!(near(all.latencies.percentile(0.5), 500.0));
        assert!(near(all.latencies.percentile(0.99), 990.0));
        assert!(near(all.latencies.mean(), 500.5));
        assert_eq!((all.good, all.latencies.max()), (1000, 1000.0));
    }
}
