//! The workers of an app as slots: which has a thread free, which slots are kept for threads that are not
//! back, which workers have drained. Called by `admission` and `app` under the app's lock. Decisions
//! only; no I/O.
//!
//! A slot is taken at dispatch and stays taken until its thread is back: told by a complete
//! response, by the worker (`SlotBack`), or by the worker's end.

use std::collections::{BTreeMap, VecDeque};

use tidegate_contract::WorkerPhase;

/// A worker process, for as long as the proxy knows it. Not its generation: a new app server counts
/// those from the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Seat(pub(super) u64);

/// A worker as the app server describes it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Described {
    pub(super) seat: Seat,
    pub(super) capacity: u32,
    pub(super) phase: WorkerPhase,
}

/// A worker as the queue sees it.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) seat: Seat,
    pub(super) capacity: u32,
    pub(super) phase: WorkerPhase,
    /// A connection to it failed, or ended without an answer; it gets nothing until a later sweep.
    pub(super) unreachable: bool,
    in_use: u32,
    /// Whether its `Drained` was said.
    drained: bool,
    /// Slots in use beyond its busy threads: the fewest over `spare_sweeps` sweeps in a row.
    spare: u32,
    spare_sweeps: u32,
}

impl Candidate {
    fn is_free(&self) -> bool {
        self.phase == WorkerPhase::Ready && !self.unreachable && self.in_use < self.capacity
    }
}

/// After this many sweeps in which a worker had fewer busy threads than slots in use, held slots
/// are freed: a request that was cut short before the worker had read it is never heard of again.
const SPARE_SWEEPS: u32 = 3;

/// Words of workers kept for dispatches that are not held yet: the worker's word takes another way
/// than its response and may come first.
const EARLY_WORDS: usize = 1024;

/// An app's workers and their slots.
#[derive(Debug, Default)]
pub(super) struct Workers {
    workers: Vec<Candidate>,
    /// Dispatches that were cut short: their slots wait for the worker's word.
    held: BTreeMap<u64, Seat>,
    /// Dispatches whose thread came back before they were held, oldest first.
    early: VecDeque<u64>,
}

impl Workers {
    /// Takes a slot of the worker with most free threads.
    pub(super) fn take(&mut self) -> Option<Seat> {
        let free = |worker: &Candidate| worker.capacity - worker.in_use;
        let best = self.workers.iter_mut().filter(|worker| worker.is_free()).max_by_key(|worker| free(worker))?;
        best.in_use += 1;
        Some(best.seat)
    }

    /// Gives a slot back.
    pub(super) fn free(&mut self, seat: Seat) {
        if let Some(worker) = self.worker(seat) {
            worker.in_use = worker.in_use.saturating_sub(1);
        }
    }

    /// Keeps the slot of a dispatch that was cut short until the worker says that its thread is
    /// back.
    pub(super) fn hold(&mut self, dispatch: u64, seat: Seat) {
        if let Some(index) = self.early.iter().position(|early| *early == dispatch) {
            self.early.remove(index);
            self.free(seat);
        } else if self.worker(seat).is_some() {
            self.held.insert(dispatch, seat);
        }
    }

    /// The worker says that the thread of this dispatch is back.
    pub(super) fn slot_back(&mut self, dispatch: u64) {
        if let Some(seat) = self.held.remove(&dispatch) {
            self.free(seat);
            return;
        }
        if self.early.len() == EARLY_WORDS {
            self.early.pop_front();
        }
        self.early.push_back(dispatch);
    }

    /// Counts a sweep over a worker with this many busy threads; frees what has been held on it
    /// beyond them for too long, the oldest first.
    pub(super) fn sweep_held(&mut self, seat: Seat, busy: u32) {
        let of_worker = self.held.iter().filter(|(_, of)| **of == seat).map(|(dispatch, _)| *dispatch);
        let mut dispatches: Vec<u64> = of_worker.collect();
        let held = u32::try_from(dispatches.len()).unwrap_or(u32::MAX);
        let Some(worker) = self.worker(seat) else { return };
        let spare = worker.in_use.saturating_sub(busy).min(held);
        worker.spare = if worker.spare_sweeps == 0 { spare } else { worker.spare.min(spare) };
        worker.spare_sweeps = if spare == 0 { 0 } else { worker.spare_sweeps + 1 };
        if worker.spare_sweeps < SPARE_SWEEPS {
            return;
        }
        worker.spare_sweeps = 0;
        dispatches.truncate(worker.spare as usize);
        for dispatch in dispatches {
            self.held.remove(&dispatch);
            self.free(seat);
        }
    }

    /// Marks a worker that could not be connected to, or lets it be tried again.
    pub(super) fn set_unreachable(&mut self, seat: Seat, unreachable: bool) {
        if let Some(worker) = self.worker(seat) {
            worker.unreachable = unreachable;
        }
    }

    /// Takes over what the app server says. Workers it does not name are gone with their slots.
    pub(super) fn update(&mut self, described: &[Described]) {
        let mut known = std::mem::take(&mut self.workers);
        for worker in described {
            let old = known.iter().position(|candidate| candidate.seat == worker.seat);
            let mut candidate = old.map(|index| known.swap_remove(index)).unwrap_or(Candidate {
                seat: worker.seat,
                capacity: worker.capacity,
                phase: worker.phase,
                unreachable: false,
                in_use: 0,
                drained: false,
                spare: 0,
                spare_sweeps: 0,
            });
            candidate.phase = worker.phase;
            self.workers.push(candidate);
        }
        let workers = &self.workers;
        self.held.retain(|_, seat| workers.iter().any(|worker| worker.seat == *seat));
    }

    /// The app server is gone. The workers get nothing more, but what runs on them is remembered:
    /// the same ones may be named again when the channel is back.
    pub(super) fn lose(&mut self) {
        for worker in &mut self.workers {
            worker.phase = WorkerPhase::Unresponsive;
        }
    }

    /// The app server may not have heard which workers drained: they are named once more.
    pub(super) fn repeat_drained(&mut self) {
        for worker in &mut self.workers {
            worker.drained = false;
        }
    }

    /// Draining workers on which nothing runs any more, each named once.
    pub(super) fn take_drained(&mut self) -> Vec<Seat> {
        let done =
            |worker: &&mut Candidate| worker.phase == WorkerPhase::Draining && worker.in_use == 0 && !worker.drained;
        self.workers
            .iter_mut()
            .filter(done)
            .map(|worker| {
                worker.drained = true;
                worker.seat
            })
            .collect()
    }

    /// Whether a worker drains, so that a free slot means something to somebody.
    pub(super) fn is_draining(&self) -> bool {
        self.workers.iter().any(|worker| worker.phase == WorkerPhase::Draining)
    }

    /// Whether a thread is free.
    pub(super) fn has_free(&self) -> bool {
        self.workers.iter().any(Candidate::is_free)
    }

    /// Whether a worker takes requests.
    pub(super) fn is_ready(&self) -> bool {
        self.workers.iter().any(|worker| worker.phase == WorkerPhase::Ready)
    }

    /// Workers as they stand.
    pub(super) fn all(&self) -> &[Candidate] {
        &self.workers
    }

    fn worker(&mut self, seat: Seat) -> Option<&mut Candidate> {
        self.workers.iter_mut().find(|worker| worker.seat == seat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn early_words_are_bounded() {
        let mut workers = Workers::default();
        for dispatch in 0..=EARLY_WORDS as u64 {
            workers.slot_back(dispatch);
        }
        assert_eq!(workers.early.len(), EARLY_WORDS);
        assert_eq!(workers.early.front(), Some(&1));
    }
}
