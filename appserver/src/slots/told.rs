//! What there is to tell of an app's pool: to the proxy, to `tidegate status`, and to the reload that tries it.

use tidegate_contract::{AppPhase, WorkerState};

use super::process::Stage;
use super::{Purpose, Slots};

impl Slots {
    pub(crate) const fn purpose(&self) -> Purpose {
        self.purpose
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.processes.is_empty()
    }

    /// Whether every slot has a worker that takes requests.
    pub(crate) fn is_complete(&self) -> bool {
        let ready = |slot| self.processes.iter().any(|process| process.slot == slot && process.stage == Stage::Ready);
        (0..self.slots.len() as u32).all(ready)
    }

    pub(crate) fn phase(&self) -> AppPhase {
        if self.purpose == Purpose::Leave {
            AppPhase::Stopping
        } else if self.processes.iter().any(|process| process.stage == Stage::Ready) {
            AppPhase::Ready
        } else if self.failure.is_some() {
            AppPhase::Failed
        } else if self.ever_ready {
            AppPhase::Ready
        } else {
            AppPhase::Starting
        }
    }

    /// Why the last start failed.
    pub(crate) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Every process as the proxy sees it, by slot and age.
    pub(crate) fn workers(&self) -> Vec<WorkerState> {
        let mut workers: Vec<_> = self.processes.iter().map(|process| process.state(self.plan.threads_max)).collect();
        workers.sort_by_key(|worker| (worker.slot, worker.generation));
        workers
    }
}
