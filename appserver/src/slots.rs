//! The decisions of one app's pool: which slot needs a process, which process is to drain or to
//! stop, and what the proxy is told about them. Called by `pool`, which says here what happened, asks `due` what is to be
//! done, does it, and tells others what `told` says. Does no I/O, starts nothing, reads no clock.

mod due;
mod plan;
mod process;
mod told;

use std::time::Duration;

use tidegate_contract::{Generation, RestartReason};
use tidegate_site::Replace;
use tokio::time::Instant;

pub(crate) use self::due::Action;
pub(crate) use self::plan::Plan;
pub(crate) use self::process::Figures;
use self::process::{Process, Stage};
use crate::backoff::Backoff;
use crate::end::End;
use crate::recycle::Limits;

/// A worker that lived this long was healthy: what came before is forgotten.
const HEALTHY: Duration = Duration::from_secs(60);
/// Deaths in a row, before any worker became ready, that make the app a failed one.
const DEATHS_AT_START: u32 = 2;

/// What the pool is for at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Prepared by a reload: each slot starts once; a failure is the reload's.
    Trial,
    /// Serves; what ends is started again.
    Serve,
    /// Makes way for a trial of its successor that cannot run beside it: everything drains, nothing
    /// starts, requests wait.
    Pause,
    /// Replaced by a reload or shut down: everything drains, nothing starts.
    Leave,
}

#[derive(Debug)]
struct Slot {
    backoff: Backoff,
    /// When the next process may start; `None`: not again.
    next_start: Option<Instant>,
}

#[derive(Debug)]
pub(crate) struct Slots {
    plan: Plan,
    seed: u64,
    purpose: Purpose,
    slots: Vec<Slot>,
    processes: Vec<Process>,
    ever_ready: bool,
    deaths_at_start: u32,
    failure: Option<String>,
}

impl Slots {
    pub(crate) fn new(plan: Plan, purpose: Purpose, seed: u64, now: Instant) -> Self {
        let slot = |number| Slot { backoff: Backoff::new(seed.wrapping_add(number)), next_start: Some(now) };
        Self {
            plan,
            seed,
            purpose,
            slots: (0..u64::from(plan.processes)).map(slot).collect(),
            processes: Vec::new(),
            ever_ready: false,
            deaths_at_start: 0,
            failure: None,
        }
    }

    /// A process was started as [`Action::Start`] asked.
    pub(crate) fn started(&mut self, slot: u32, generation: Generation, endpoint: String) {
        let limits = Limits::vary(&self.plan.recycle, self.seed.wrapping_add(generation));
        self.processes.push(Process::new(slot, generation, endpoint, limits));
    }

    /// The process that serves is this one; without a version it has not said hello yet.
    pub(crate) fn identified(&mut self, generation: Generation, pid: u32, python: String) {
        if let Some(process) = self.find(generation) {
            process.pid = pid;
            process.python = python;
        }
    }

    /// Takes requests from now on; what it replaces drains.
    pub(crate) fn ready(&mut self, generation: Generation, now: Instant) {
        let timeout = self.plan.drain_timeout;
        let Some(process) = self.find(generation) else { return };
        if process.stage != Stage::Starting {
            return;
        }
        process.stage = Stage::Ready;
        process.ready_at = Some(now);
        let slot = process.slot;
        self.ever_ready = true;
        self.deaths_at_start = 0;
        self.failure = None;
        for other in &mut self.processes {
            if other.slot == slot && other.condemned {
                other.drain(now, timeout);
            }
        }
    }

    /// A heartbeat with its figures.
    pub(crate) fn beat(&mut self, generation: Generation, figures: Figures) {
        if let Some(process) = self.find(generation) {
            process.figures = figures;
            if process.stage == Stage::Silent {
                process.stage = Stage::Ready;
            }
        }
    }

    /// Missed heartbeats.
    pub(crate) fn silent(&mut self, generation: Generation) {
        if let Some(process) = self.find(generation)
            && process.stage == Stage::Ready
        {
            process.stage = Stage::Silent;
        }
    }

    /// To be replaced; it serves on until its replacement is ready. Returns whether that is
    /// news, and so a restart to count.
    pub(crate) fn condemned(&mut self, generation: Generation, now: Instant) -> bool {
        let Some(process) = self.find(generation) else { return false };
        if process.condemned || process.is_leaving() {
            return false;
        }
        process.condemned = true;
        let (slot, ready_at) = (process.slot, process.ready_at);
        self.plan_restart(slot, ready_at, now);
        self.make_way(now);
        true
    }

    /// Picks a process that has done enough, if every other one serves: it is to be replaced as a
    /// condemned one is. Returns which and why.
    pub(crate) fn recycle(&mut self, now: Instant) -> Option<(Generation, RestartReason)> {
        if self.purpose != Purpose::Serve || !self.is_settled() {
            return None;
        }
        let process = self.processes.iter_mut().find_map(|process| Some((process.has_done(now)?, process)));
        let (reason, process) = process?;
        process.condemned = true;
        let (slot, generation, ready_at) = (process.slot, process.generation, process.ready_at);
        if reason == RestartReason::Memory {
            // A limit below what the app always needs is not to make one import after the other.
            self.plan_restart(slot, ready_at, now);
        } else if let Some(slot) = self.slots.get_mut(slot as usize) {
            slot.next_start = Some(now);
        }
        self.make_way(now);
        Some((generation, reason))
    }

    /// The proxy has no request in flight on this draining process.
    pub(crate) fn drained(&mut self, generation: Generation) {
        if let Some(process) = self.find(generation) {
            process.drained();
        }
    }

    /// A process has ended. Returns the restart to count, if it was not meant to end.
    pub(crate) fn ended(&mut self, generation: Generation, end: &End, now: Instant) -> Option<RestartReason> {
        let at = self.processes.iter().position(|process| process.generation == generation)?;
        let process = self.processes.swap_remove(at);
        if process.is_leaving() {
            return None;
        }
        if process.ready_at.is_none() {
            self.failed_to_start(end);
        }
        if process.condemned {
            // Counted, and its replacement planned, when it was condemned.
            return None;
        }
        self.plan_restart(process.slot, process.ready_at, now);
        (self.purpose == Purpose::Serve).then(|| end.reason())
    }

    /// A reload made this trial the pool that serves.
    pub(crate) fn promote(&mut self, now: Instant) {
        if self.purpose != Purpose::Trial {
            return;
        }
        self.purpose = Purpose::Serve;
        self.make_way(now);
        for number in 0..self.slots.len() {
            if !self.has_healthy(number as u32) {
                self.slots[number].next_start = Some(now);
            }
        }
    }

    /// Everything drains and nothing starts, until [`Self::resume`]. Returns how many processes that
    /// served end by it.
    pub(crate) fn pause(&mut self, now: Instant) -> u64 {
        if self.purpose != Purpose::Serve {
            return 0;
        }
        self.purpose = Purpose::Pause;
        self.drain_all(now, self.plan.drain_timeout)
    }

    /// The end of a pause: every slot gets a process again.
    pub(crate) fn resume(&mut self, now: Instant) {
        if self.purpose == Purpose::Pause {
            self.purpose = Purpose::Serve;
            self.slots.iter_mut().for_each(|slot| slot.next_start = Some(now));
        }
    }

    /// Everything drains. Returns how many processes that served are replaced by it.
    pub(crate) fn leave(&mut self, now: Instant) -> u64 {
        // The proxy does not know a trial's workers, so that nothing is in flight on them.
        let trial = self.purpose == Purpose::Trial;
        self.purpose = Purpose::Leave;
        let serving = self.drain_all(now, self.plan.drain_timeout);
        if trial {
            self.processes.iter_mut().for_each(Process::set_idle);
        }
        serving
    }

    fn find(&mut self, generation: Generation) -> Option<&mut Process> {
        self.processes.iter_mut().find(|process| process.generation == generation)
    }

    /// Whether each slot has its one process and nothing is to be done about any.
    fn is_settled(&self) -> bool {
        self.processes.len() == self.slots.len()
            && self.processes.iter().all(|process| process.stage == Stage::Ready && !process.condemned)
    }

    /// Where a replacement cannot start beside what it replaces, that has to go first. A trial's
    /// workers serve nobody, and wait until it is promoted.
    fn make_way(&mut self, now: Instant) {
        if self.plan.replace == Replace::StopFirst && self.purpose == Purpose::Serve {
            for process in self.processes.iter_mut().filter(|process| process.condemned) {
                process.drain(now, self.plan.drain_timeout);
            }
        }
    }

    fn drain_all(&mut self, now: Instant, timeout: Duration) -> u64 {
        let mut serving = 0;
        for process in &mut self.processes {
            serving += u64::from(!process.is_leaving());
            process.drain(now, timeout);
        }
        serving
    }

    fn has_healthy(&self, slot: u32) -> bool {
        self.processes.iter().any(|process| process.slot == slot && !process.condemned && !process.is_leaving())
    }

    fn plan_restart(&mut self, slot: u32, ready_at: Option<Instant>, now: Instant) {
        let trial = self.purpose == Purpose::Trial;
        if let Some(slot) = self.slots.get_mut(slot as usize) {
            if ready_at.is_some_and(|ready| now.duration_since(ready) >= HEALTHY) {
                slot.backoff.reset();
            }
            slot.next_start = if trial { None } else { Some(now + slot.backoff.next()) };
        }
    }

    fn failed_to_start(&mut self, end: &End) {
        // A single death may be an accident, such as a kill by hand; the others say themselves
        // that the next attempt will not do better.
        if let End::Exited(_) = end {
            self.deaths_at_start += 1;
            if self.deaths_at_start < DEATHS_AT_START && self.purpose == Purpose::Serve {
                return;
            }
        }
        self.failure = Some(end.to_string());
    }
}

#[cfg(test)]
mod tests;
