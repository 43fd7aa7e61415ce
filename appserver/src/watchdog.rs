//! The deadlines of one worker process: to become ready, to be heard, to end. Called by
//! `worker`; reads no clock, so that tables can test it.

use std::time::Duration;

use tokio::time::Instant;

/// Heartbeats that may be missed before the proxy is told to leave a worker alone.
const MISSED: u32 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Starting { until: Instant },
    Serving { heard: Instant, silent: bool },
    Ending { until: Instant },
}

/// What a passed deadline means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing yet.
    Wait,
    /// Missed some heartbeats.
    Silent,
    /// To be killed: not ready within `start_timeout`.
    NotReady,
    /// To be killed: silent for `heartbeat_timeout`.
    Frozen,
    /// To be killed: asked to stop and still there.
    Overdue,
}

#[derive(Debug)]
pub(crate) struct Watchdog {
    stage: Stage,
    silent_after: Duration,
    frozen_after: Duration,
}

impl Watchdog {
    pub(crate) fn new(start_until: Instant, heartbeat: Duration, heartbeat_timeout: Duration) -> Self {
        Self {
            stage: Stage::Starting { until: start_until },
            silent_after: (heartbeat * MISSED).min(heartbeat_timeout),
            frozen_after: heartbeat_timeout,
        }
    }

    /// The app is imported; heartbeats are due from now on.
    pub(crate) fn ready(&mut self, now: Instant) {
        if matches!(self.stage, Stage::Starting { .. }) {
            self.stage = Stage::Serving { heard: now, silent: false };
        }
    }

    /// A heartbeat came. Returns whether the worker had been silent.
    pub(crate) fn beat(&mut self, now: Instant) -> bool {
        let Stage::Serving { heard, silent } = &mut self.stage else { return false };
        *heard = now;
        std::mem::take(silent)
    }

    /// The process is ending, one way or the other, and has until then.
    pub(crate) fn ending(&mut self, until: Instant) {
        self.stage = match self.stage {
            Stage::Ending { until: earlier } => Stage::Ending { until: until.min(earlier) },
            _ => Stage::Ending { until },
        };
    }

    /// When to ask for the next verdict.
    pub(crate) fn deadline(&self) -> Instant {
        match self.stage {
            Stage::Starting { until } | Stage::Ending { until } => until,
            Stage::Serving { heard, silent: false } => heard + self.silent_after,
            Stage::Serving { heard, silent: true } => heard + self.frozen_after,
        }
    }

    pub(crate) fn verdict(&mut self, now: Instant) -> Verdict {
        match &mut self.stage {
            Stage::Starting { until } if now >= *until => Verdict::NotReady,
            Stage::Ending { until } if now >= *until => Verdict::Overdue,
            Stage::Serving { heard, .. } if now >= *heard + self.frozen_after => Verdict::Frozen,
            Stage::Serving { heard, silent } if !*silent && now >= *heard + self.silent_after => {
                *silent = true;
                Verdict::Silent
            }
            _ => Verdict::Wait,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watchdog(now: Instant) -> Watchdog {
        Watchdog::new(now + Duration::from_secs(60), Duration::from_secs(1), Duration::from_secs(10))
    }

    #[tokio::test]
    async fn a_worker_is_silent_then_frozen_unless_it_is_heard() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut dog = watchdog(start);
        assert_eq!((dog.deadline(), dog.verdict(at(59))), (at(60), Verdict::Wait));
        assert_eq!(dog.verdict(at(60)), Verdict::NotReady);
        dog.ready(at(20));
        assert_eq!((dog.deadline(), dog.verdict(at(22))), (at(23), Verdict::Wait));
        assert_eq!(dog.verdict(at(23)), Verdict::Silent);
        assert_eq!((dog.deadline(), dog.verdict(at(24))), (at(30), Verdict::Wait));
        assert!(dog.beat(at(29)), "it was silent");
        assert!(!dog.beat(at(30)), "it was not");
        assert_eq!((dog.deadline(), dog.verdict(at(40))), (at(33), Verdict::Frozen));
    }

    #[tokio::test]
    async fn an_ending_worker_needs_no_heartbeat() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut dog = watchdog(start);
        dog.ready(start);
        dog.ending(at(30));
        assert_eq!((dog.deadline(), dog.verdict(at(29))), (at(30), Verdict::Wait));
        dog.ending(at(40));
        assert_eq!(dog.verdict(at(30)), Verdict::Overdue);
    }

    #[tokio::test]
    async fn a_short_timeout_is_frozen_at_once() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut dog = Watchdog::new(start + second, second, second * 2);
        dog.ready(start);
        assert_eq!(dog.deadline(), start + second * 2);
        assert_eq!(dog.verdict(start + second * 2), Verdict::Frozen);
    }
}
