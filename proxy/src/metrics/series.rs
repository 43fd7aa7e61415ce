//! Counters whose label has a fixed set of values: resolved once, so that counting needs no
//! label lookup, and all present from the start, so that a first failure shows as a rise from 0.

use prometheus::{IntCounter, IntCounterVec};
use tidegate_contract::Cause;

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// One counter for each class of status.
#[derive(Debug)]
pub(super) struct StatusCounters([IntCounter; CLASSES.len()]);

impl StatusCounters {
    /// `labels` come before the family's last label, which is the class.
    pub(super) fn new(family: &IntCounterVec, labels: &[&str]) -> Self {
        Self(CLASSES.map(|class| family.with_label_values(&with(labels, class))))
    }

    pub(super) fn inc(&self, status: u16) {
        let class = usize::from(status / 100).clamp(1, CLASSES.len()) - 1;
        self.0[class].inc();
    }

    pub(super) fn forget(family: &IntCounterVec, labels: &[&str]) {
        for class in CLASSES {
            // Fails only if the series is gone already.
            let _ = family.remove_label_values(&with(labels, class));
        }
    }
}

/// One counter for each cause that the family knows.
#[derive(Debug)]
pub(super) struct CauseCounters(Vec<(Cause, IntCounter)>);

impl CauseCounters {
    /// `labels` come before the family's last label, which is the cause.
    pub(super) fn new(family: &IntCounterVec, labels: &[&str], causes: &[Cause]) -> Self {
        let counter = |cause: &Cause| (*cause, family.with_label_values(&with(labels, cause.label())));
        Self(causes.iter().map(counter).collect())
    }

    /// A cause that the family does not know is not counted in it.
    pub(super) fn inc(&self, cause: Cause) {
        if let Some((_, counter)) = self.0.iter().find(|(known, _)| *known == cause) {
            counter.inc();
        }
    }

    pub(super) fn forget(&self, family: &IntCounterVec, labels: &[&str]) {
        for (cause, _) in &self.0 {
            // Fails only if the series is gone already.
            let _ = family.remove_label_values(&with(labels, cause.label()));
        }
    }
}

fn with<'a>(labels: &[&'a str], last: &'a str) -> Vec<&'a str> {
    labels.iter().copied().chain([last]).collect()
}

#[cfg(test)]
mod tests {
    use prometheus::Opts;

    use super::*;

    #[test]
    fn every_status_counts_in_its_class() {
        let family = IntCounterVec::new(Opts::new("statuses", "test"), &["status"]).unwrap();
        let counters = StatusCounters::new(&family, &[]);
        for status in [100, 200, 299, 304, 400, 499, 503, 599, 0, 700] {
            counters.inc(status);
        }
        let counts = CLASSES.map(|class| family.with_label_values(&[class]).get());
        assert_eq!(counts, [2, 2, 1, 2, 3]);
    }

    #[test]
    fn an_unknown_cause_is_not_counted() {
        let family = IntCounterVec::new(Opts::new("causes", "test"), &["app", "cause"]).unwrap();
        let counters = CauseCounters::new(&family, &["shop"], &[Cause::QueueFull]);
        counters.inc(Cause::QueueFull);
        counters.inc(Cause::AppError);
        assert_eq!(family.with_label_values(&["shop", "queue_full"]).get(), 1);
        assert_eq!(family.with_label_values(&["shop", "app_error"]).get(), 0);
    }
}
