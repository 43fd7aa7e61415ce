//! What is to be done in an app's pool, and when to ask again.

use tidegate_contract::Generation;
use tidegate_site::Replace;
use tokio::time::Instant;

use super::process::{Process, Stage};
use super::{Purpose, Slots};

/// What the pool has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Start a process in this slot and say [`Slots::started`].
    Start { slot: u32 },
    /// Tell this process to stop; requests that still run have until then.
    Stop { generation: Generation, until: Instant },
}

impl Slots {
    // === What to do ===

    /// What is to be done now; each thing is said once (a start until it is [`Self::started`]).
    pub(crate) fn actions(&mut self, now: Instant, proxy_connected: bool) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.may_start() {
            let due = (0..self.slots.len() as u32).filter(|&slot| self.start_time(slot).is_some_and(|at| at <= now));
            actions.extend(due.map(|slot| Action::Start { slot }));
        }
        for process in &mut self.processes {
            if let Stage::Draining { until, drained } = process.stage
                && (drained || !proxy_connected || until <= now)
            {
                process.stage = Stage::Stopping;
                actions.push(Action::Stop { generation: process.generation, until });
            }
        }
        actions
    }

    /// When [`Self::actions`] will have something to say even if nothing happens.
    pub(crate) fn next_wake(&self) -> Option<Instant> {
        let starts = (0..self.slots.len() as u32).filter_map(|slot| self.start_time(slot));
        let drains = self.processes.iter().filter_map(|process| match process.stage {
            Stage::Draining { until, .. } => Some(until),
            _ => None,
        });
        // While another worker is being replaced, the end of that is what to wait for.
        let recycles = self.purpose == Purpose::Serve && self.is_settled();
        let lives = self.processes.iter().filter(|_| recycles).filter_map(Process::lifetime_end);
        starts.chain(drains).chain(lives).min()
    }

    /// When the slot starts its next process, if it needs one.
    pub(crate) fn start_time(&self, slot: u32) -> Option<Instant> {
        let is_free =
            self.plan.replace == Replace::Overlap || self.processes.iter().all(|process| process.slot != slot);
        let needed = self.may_start() && is_free && !self.has_healthy(slot);
        self.slots.get(slot as usize).filter(|_| needed)?.next_start
    }

    const fn may_start(&self) -> bool {
        matches!(self.purpose, Purpose::Serve | Purpose::Trial)
    }
}
