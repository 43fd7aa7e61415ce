//! How long a slot waits before it starts its next process. Called by `slots`; does no I/O and
//! reads no clock.

use std::time::Duration;

/// The second restart in a row waits this long; each further one twice as long.
const STEP: Duration = Duration::from_millis(500);
/// Longest wait: an app that was repaired is back half a minute later at the latest.
const LONGEST: Duration = Duration::from_secs(30);

/// Restarts in a row and what they have earned.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    failures: u32,
    /// State of a small generator: slots that fail together are not to start together.
    seed: u64,
}

impl Backoff {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { failures: 0, seed }
    }

    /// The wait before the next start. The first restart after a healthy time is immediate.
    pub(crate) fn next(&mut self) -> Duration {
        let doublings = self.failures.saturating_sub(1).min(16);
        let wait = match self.failures {
            0 => Duration::ZERO,
            _ => (STEP * (1 << doublings)).min(LONGEST),
        };
        self.failures = self.failures.saturating_add(1);
        wait.mul_f64(self.jitter())
    }

    /// Forgets earlier failures.
    pub(crate) const fn reset(&mut self) {
        self.failures = 0;
    }

    /// 0.8 to 1.0, so that no wait is over its limit.
    fn jitter(&mut self) -> f64 {
        // Knuth's linear congruential constants; quality does not matter here.
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        0.8 + 0.2 * f64::from((self.seed >> 32) as u32) / f64::from(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_half_a_minute() {
        for seed in [0, 1, u64::MAX, 0x1234_5678_9abc_def0] {
            let mut backoff = Backoff::new(seed);
            for expected in [0, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
                let wait = backoff.next().as_millis();
                let bounds = expected * 8 / 10..=expected;
                assert!(bounds.contains(&wait), "{wait} ms instead of about {expected} ms");
            }
            backoff.reset();
            assert_eq!(backoff.next(), Duration::ZERO);
        }
    }
}
