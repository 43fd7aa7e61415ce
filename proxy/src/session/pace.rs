//! How slowly a client may send or take: a store of time that bytes fill and waiting empties. Asked by whatever waits for
//! the client, which sets its own timer. No I/O, no clock.

use std::time::Duration;

/// The pace of one direction. Time that passes without anyone waiting for the client does not count.
#[derive(Debug, Clone)]
pub(super) struct Pace {
    /// Bytes a second; none for patience alone.
    rate: Option<u64>,
    patience: Duration,
    /// What is left of the client's time; never more than the patience, so that a fast beginning buys no slow end.
    credit: Duration,
}

impl Pace {
    /// A client that may keep silent for `patience`, and over time moves `rate` bytes a second; 0 for no rate.
    pub(super) fn new(rate: u64, patience: Duration) -> Self {
        Self { rate: (rate > 0).then_some(rate), patience, credit: patience }
    }

    /// How long the next `bytes` may take.
    pub(super) fn allowance(&self, bytes: usize) -> Duration {
        let fair = self.worth(bytes);
        (self.credit + fair).min(self.patience.max(fair))
    }

    /// `bytes` took so long.
    pub(super) fn moved(&mut self, bytes: usize, took: Duration) {
        if self.rate.is_some() {
            self.credit = (self.credit + self.worth(bytes)).saturating_sub(took).min(self.patience);
        }
    }

    /// Whether waiting has cost anything yet, so that what moves without a wait can be left uncounted.
    pub(super) fn is_full(&self) -> bool {
        self.credit == self.patience
    }

    fn worth(&self, bytes: usize) -> Duration {
        let Some(rate) = self.rate else { return Duration::ZERO };
        Duration::from_micros((bytes as u64).saturating_mul(1_000_000) / rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// How many seconds a client lives that moves so many bytes each second, or 10,000.
    fn lives(pace: &mut Pace, bytes: usize) -> u32 {
        (0..10_000)
            .find(|_| {
                let too_slow = pace.allowance(1) < SECOND;
                pace.moved(bytes, SECOND);
                too_slow
            })
            .unwrap_or(10_000)
    }

    #[test]
    fn a_client_below_the_rate_uses_up_its_time() {
        let pace = || Pace::new(500, 60 * SECOND);
        assert_eq!(lives(&mut pace(), 500), 10_000);
        assert_eq!(lives(&mut pace(), 0), 60);
        assert_eq!(lives(&mut pace(), 1), 60);
        assert_eq!(lives(&mut pace(), 250), 119);
        assert_eq!(lives(&mut Pace::new(0, 60 * SECOND), 0), 10_000);
    }

    #[test]
    fn a_fast_beginning_buys_no_slow_end() {
        let mut pace = Pace::new(500, 60 * SECOND);
        pace.moved(100 << 20, SECOND);
        assert_eq!(lives(&mut pace, 1), 60);
    }

    #[test]
    fn what_is_large_may_take_its_time() {
        let mut pace = Pace::new(1024, 10 * SECOND);
        assert_eq!(pace.allowance(0), 10 * SECOND);
        assert_eq!(pace.allowance(4 << 10), 10 * SECOND);
        assert_eq!(pace.allowance(64 << 10), 64 * SECOND);
        pace.moved(64 << 10, 64 * SECOND);
        assert!(pace.is_full());
        pace.moved(0, 10 * SECOND);
        assert_eq!(pace.allowance(4 << 10), 4 * SECOND);
        assert_eq!(Pace::new(0, 10 * SECOND).allowance(1 << 30), 10 * SECOND);
    }
}
