//! Metrics of log files: what the logs count for themselves, taken over when somebody looks.

use std::sync::Arc;

use prometheus::IntCounter;
use tidegate_log::Tally;

use super::families::Families;

/// The counts of both logs.
#[derive(Debug)]
pub(super) struct LogMetrics {
    access: LogSeries,
    process: LogSeries,
}

#[derive(Debug)]
struct LogSeries {
    tally: Arc<Tally>,
    failed: IntCounter,
    rotations: IntCounter,
}

impl LogMetrics {
    pub(super) fn new(families: &Families) -> Self {
        let series = |label: &str, tally| LogSeries {
            tally,
            failed: families.process.log_failed.with_label_values(&[label]),
            rotations: families.process.log_rotations.with_label_values(&[label]),
        };
        Self { access: series("access", Arc::default()), process: series("process", tidegate_log::tally()) }
    }

    pub(super) fn access(&self) -> Arc<Tally> {
        Arc::clone(&self.access.tally)
    }

    /// Brings the series up to date.
    pub(super) fn collect(&self) {
        for LogSeries { tally, failed, rotations } in [&self.access, &self.process] {
            // Two scrapes at a time may both be early; the next one is right.
            failed.inc_by(tally.lost().saturating_sub(failed.get()));
            rotations.inc_by(tally.rotated().saturating_sub(rotations.get()));
        }
    }
}
