//! Who has sent how much: the state of one rate limit, for a bounded number of keys. Called by `rate`.
//! The clock is the caller's; no I/O.
//!
//! The algorithm is GCRA, which is a token bucket that needs one number for each key: when the bucket will
//! be full again. Keys are hashes, kept in sets of [`WAYS`]; where a set is full, the key whose bucket
//! is full again, or will be soonest, makes room. Nothing is allocated or swept after the start.

use parking_lot::Mutex;

/// Keys in a set: two cache lines, so that looking through them costs about as much as finding them.
const WAYS: usize = 8;

/// A rate and how much may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate {
    /// Nanoseconds between two requests at the full rate.
    pub(super) interval: u64,
    /// Requests that may come at once.
    pub(super) burst: u32,
}

/// One key's bucket.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    key: u64,
    /// When it is full again, in nanoseconds.
    full_at: u64,
}

/// The buckets of one limit.
#[derive(Debug)]
pub(super) struct Buckets {
    rate: Rate,
    sets: Box<[Mutex<[Bucket; WAYS]>]>,
}

impl Buckets {
    /// Full buckets, for about so many keys.
    pub(super) fn new(rate: Rate, keys: usize) -> Self {
        let sets = keys.div_ceil(WAYS).max(1);
        Self { rate, sets: (0..sets).map(|_| Mutex::new([Bucket { key: 0, full_at: 0 }; WAYS])).collect() }
    }

    /// Takes a token of this key at this time. Without one the answer is how long until there is one.
    pub(super) fn take(&self, key: u64, now: u64) -> Result<(), u64> {
        let Rate { interval, burst } = self.rate;
        // The hash's high bits choose the set; a remainder would be as good and cost a division.
        let index = (u128::from(key) * self.sets.len() as u128) >> 64;
        let mut set = self.sets[index as usize].lock();
        let (mut place, mut soonest) = (0, u64::MAX);
        for (index, bucket) in set.iter().enumerate() {
            if bucket.key == key {
                place = index;
                break;
            }
            if bucket.full_at < soonest {
                (place, soonest) = (index, bucket.full_at);
            }
        }
        let bucket = &mut set[place];
        let full_at = if bucket.key == key { bucket.full_at.max(now) } else { now };
        let tolerance = interval.saturating_mul(u64::from(burst - 1));
        let allowed_at = full_at.saturating_sub(tolerance);
        if allowed_at > now {
            return Err(allowed_at - now);
        }
        *bucket = Bucket { key, full_at: full_at.saturating_add(interval) };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn buckets(a_second: u64, burst: u32) -> Buckets {
        Buckets::new(Rate { interval: SECOND / a_second, burst }, 64)
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        // At these tenths of a second, ten a second and three at once.
        let buckets = buckets(10, 3);
        for (tenth, expected) in [
            (0, Ok(())),
            (0, Ok(())),
            (0, Ok(())),
            (0, Err(SECOND / 10)),
            (1, Ok(())),
            (1, Err(SECOND / 10)),
            (2, Ok(())),
            (9, Ok(())),
            (9, Ok(())),
            (9, Ok(())),
            (9, Err(SECOND / 10)),
        ] {
            assert_eq!(buckets.take(1, 50 * SECOND + tenth * SECOND / 10), expected, "{tenth}");
        }
    }

    #[test]
    fn each_key_has_its_own() {
        let buckets = buckets(1, 1);
        for key in [1, 2, 1 << 60, u64::MAX] {
            assert_eq!((buckets.take(key, SECOND), buckets.take(key, SECOND)), (Ok(()), Err(SECOND)), "{key}");
        }
    }

    #[test]
    fn who_was_refused_waits_no_longer_for_it() {
        let buckets = buckets(1, 1);
        assert_eq!(buckets.take(1, 10 * SECOND), Ok(()));
        for _ in 0..100 {
            assert!(buckets.take(1, 10 * SECOND + SECOND / 2).is_err());
        }
        assert_eq!(buckets.take(1, 11 * SECOND), Ok(()));
    }

    #[test]
    fn the_key_that_is_soonest_full_makes_room() {
        let buckets = Buckets::new(Rate { interval: SECOND, burst: 2 }, 1);
        // Key 1 has sent twice, the seven others once.
        for key in [1, 1, 2, 3, 4, 5, 6, 7, 8] {
            assert_eq!(buckets.take(key, SECOND), Ok(()));
        }
        assert_eq!(buckets.take(9, SECOND), Ok(()));
        assert!(buckets.take(1, SECOND).is_err(), "it is not forgotten");
    }

    #[test]
    fn extreme_rates_do_not_overflow() {
        let slow = Buckets::new(Rate { interval: u64::MAX, burst: 1_000_000 }, 1);
        assert_eq!((slow.take(1, SECOND), slow.take(1, 2 * SECOND)), (Ok(()), Ok(())));
        let fast = Buckets::new(Rate { interval: 1, burst: 1 }, 1);
        assert_eq!((fast.take(1, 5), fast.take(1, 5), fast.take(1, 6)), (Ok(()), Err(1), Ok(())));
    }
}
