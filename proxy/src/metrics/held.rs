//! A gauge that counts things which exist: up when one begins, down when its guard is dropped,
//! whichever way the task that held it ended.

use prometheus::IntGauge;

/// One unit of a gauge, given back on drop.
#[derive(Debug)]
#[must_use = "dropping it at once takes the unit back"]
pub(crate) struct Held(IntGauge);

impl Held {
    pub(super) fn new(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_falls_when_its_guard_is_dropped_even_by_a_panic() {
        let gauge = IntGauge::new("held", "test").unwrap();
        let first = Held::new(&gauge);
        let second = Held::new(&gauge);
        assert_eq!(gauge.get(), 2);
        drop(first);
        assert_eq!(gauge.get(), 1);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _second = second;
            std::panic::resume_unwind(Box::new(()));
        }));
        assert!(panicked.is_err());
        assert_eq!(gauge.get(), 0);
    }
}
