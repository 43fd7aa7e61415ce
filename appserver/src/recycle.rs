//! When a worker process has done enough although nothing is wrong with it: an app's limits, varied
//! a little for each process. Called by `slots`; does no I/O and reads no clock.

use std::time::Duration;

use tidegate_contract::RestartReason;
use tidegate_site::Recycle;

/// How far a limit is moved, either way: processes that started together are not to be replaced
/// one right after the other.
const JITTER: f64 = 0.1;

/// One process's limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits(Recycle);

impl Limits {
    /// The app's limits, varied by what is random about this process.
    pub(crate) fn vary(recycle: &Recycle, seed: u64) -> Self {
        let scale = |figure: u64, number: u64| (figure as f64 * factor(seed ^ number)).round().max(1.0) as u64;
        Self(Recycle {
            requests: recycle.requests.map(|requests| scale(requests, 1)),
            lifetime: recycle.lifetime.map(|lifetime| lifetime.mul_f64(factor(seed ^ 2))),
            memory: recycle.memory.map(|memory| scale(memory, 3)),
        })
    }

    /// The limit that these figures have reached.
    pub(crate) fn reached(&self, requests: u64, memory: u64, age: Duration) -> Option<RestartReason> {
        // What leaks first, since that is what an operator would like to know of.
        let memory = self.0.memory.filter(|limit| memory >= *limit).map(|_| RestartReason::Memory);
        let requests = self.0.requests.filter(|limit| requests >= *limit).map(|_| RestartReason::Requests);
        let lifetime = self.0.lifetime.filter(|limit| age >= *limit).map(|_| RestartReason::Lifetime);
        memory.or(requests).or(lifetime)
    }

    /// How long the process may live.
    pub(crate) const fn lifetime(&self) -> Option<Duration> {
        self.0.lifetime
    }
}

/// Between 1 - JITTER and 1 + JITTER, evenly over all seeds, and far apart for seeds that are near.
fn factor(seed: u64) -> f64 {
    // The finaliser of splitmix64.
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    let even = f64::from((mixed >> 32) as u32) / f64::from(u32::MAX);
    1.0 - JITTER + 2.0 * JITTER * even
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn limits_vary_by_a_tenth_at_most_and_over_all_of_it() {
        let factors: Vec<f64> = (0..1000).map(factor).collect();
        assert!(factors.iter().all(|factor| (0.9..=1.1).contains(factor)));
        let mean = factors.iter().sum::<f64>() / 1000.0;
        assert!((0.99..1.01).contains(&mean), "{mean}");
        assert!(factors.iter().any(|factor| *factor < 0.91) && factors.iter().any(|factor| *factor > 1.09));

        let recycle = Recycle { requests: Some(1000), lifetime: Some(HOUR), memory: Some(1 << 30) };
        for seed in [0, 1, 2, u64::MAX] {
            let Limits(varied) = Limits::vary(&recycle, seed);
            assert!((900..=1100).contains(&varied.requests.unwrap()));
            assert!((HOUR.mul_f64(0.9)..=HOUR.mul_f64(1.1)).contains(&varied.lifetime.unwrap()));
            assert!((966_367_641..=1_181_116_007).contains(&varied.memory.unwrap()));
        }
        assert_ne!(Limits::vary(&recycle, 1), Limits::vary(&recycle, 2));
        assert_eq!(Limits::vary(&Recycle { requests: Some(1), ..recycle }, 7).0.requests, Some(1), "never none at all");
    }

    #[test]
    fn the_limit_that_is_reached_names_the_reason() {
        let limits = Limits(Recycle { requests: Some(10), lifetime: Some(HOUR), memory: Some(100) });
        let off = Limits(Recycle { requests: None, lifetime: None, memory: None });
        let minute = HOUR / 60;
        for (requests, memory, age, expected) in [
            (9, 99, minute, None),
            (10, 99, minute, Some(RestartReason::Requests)),
            (9, 100, minute, Some(RestartReason::Memory)),
            (9, 99, HOUR, Some(RestartReason::Lifetime)),
            (10, 100, HOUR, Some(RestartReason::Memory)),
        ] {
            assert_eq!(limits.reached(requests, memory, age), expected, "{requests} {memory} {age:?}");
            assert_eq!(off.reached(requests, memory, age), None);
        }
    }
}
