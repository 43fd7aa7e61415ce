//! Who gets which worker: the slots of an app's workers and the one bounded, fair queue in
//! front of them. Decisions only; no I/O.
//!
//! A slot is taken at dispatch and stays taken until its thread is back: told by a complete
//! response, by the worker (`SlotBack`), or by the worker's end.

use std::collections::{BTreeMap, VecDeque};

use tidegate_contract::{AppPhase, WorkerPhase};

/// A worker process, for as long as the proxy knows it. Not its generation: a new app server counts
/// those from the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Seat(pub(super) u64);

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
    /// A connection to it failed; it gets nothing until the supervisor or a later sweep says
    /// that it is there.
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

/// A request's place in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(u64);

/// What became of a request that asked for a slot.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// It has a slot of this worker.
    Granted(Seat),
    /// It waits.
    Queued(Ticket),
    /// The queue is full.
    Full,
    /// Nothing will serve the app.
    NoBackend,
    /// The app server shuts down.
    Draining,
}

/// An app's slots and queue. `W` is how a waiting request is told.
#[derive(Debug)]
pub(super) struct Slots<W> {
    phase: AppPhase,
    workers: Vec<Candidate>,
    waiting: BTreeMap<Ticket, W>,
    next_ticket: u64,
    size: usize,
    /// Dispatches that were cut short: their slots wait for the worker's word.
    held: BTreeMap<u64, Seat>,
    /// Dispatches whose thread came back before they were held, oldest first.
    early: VecDeque<u64>,
}

impl<W> Slots<W> {
    /// No worker yet; requests wait.
    pub(super) fn new(size: usize) -> Self {
        Self {
            phase: AppPhase::Starting,
            workers: Vec::new(),
            waiting: BTreeMap::new(),
            next_ticket: 0,
            size,
            held: BTreeMap::new(),
            early: VecDeque::new(),
        }
    }

    /// Changes the queue's bound; those who wait stay.
    pub(super) fn resize(&mut self, size: usize) {
        self.size = size;
    }

    /// Takes the slot of the worker with most free threads, or a place in the queue. The queue
    /// is fair: nobody overtakes those who wait.
    pub(super) fn admit(&mut self, wait: impl FnOnce() -> W) -> Admission {
        match self.phase {
            AppPhase::Failed => return Admission::NoBackend,
            AppPhase::Stopping => return Admission::Draining,
            AppPhase::Starting | AppPhase::Ready => {}
        }
        if self.waiting.is_empty()
            && let Some(seat) = self.take()
        {
            return Admission::Granted(seat);
        }
        if self.waiting.len() >= self.size {
            return Admission::Full;
        }
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.waiting.insert(ticket, wait());
        Admission::Queued(ticket)
    }

    /// Takes back a place in the queue.
    pub(super) fn leave(&mut self, ticket: Ticket) {
        self.waiting.remove(&ticket);
    }

    /// The next waiting request together with a slot for it, if there are both.
    pub(super) fn next_grant(&mut self) -> Option<(W, Seat)> {
        if self.waiting.is_empty() {
            return None;
        }
        let seat = self.take()?;
        let (_, waiter) = self.waiting.pop_first()?;
        Some((waiter, seat))
    }

    /// Everybody who waits in vain, when the app cannot be served any more.
    pub(super) fn take_hopeless(&mut self) -> Vec<W> {
        match self.phase {
            AppPhase::Failed | AppPhase::Stopping => std::mem::take(&mut self.waiting).into_values().collect(),
            AppPhase::Starting | AppPhase::Ready => Vec::new(),
        }
    }

    fn take(&mut self) -> Option<Seat> {
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
    pub(super) fn update(&mut self, phase: AppPhase, described: &[Described]) {
        self.phase = phase;
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

    /// The app server is gone. Its workers get nothing more, but what runs on them is remembered:
    /// the same ones may be named again when the channel is back.
    pub(super) fn lose_all(&mut self) {
        self.phase = AppPhase::Failed;
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

    /// Whether a free slot may mean something to somebody: a request waits, or a worker drains.
    pub(super) fn is_awaited(&self) -> bool {
        !self.waiting.is_empty() || self.workers.iter().any(|worker| worker.phase == WorkerPhase::Draining)
    }

    /// Workers as they stand.
    pub(super) fn workers(&self) -> &[Candidate] {
        &self.workers
    }

    /// Why a request would have to wait or fail; nothing if a worker is ready.
    pub(super) fn not_ready(&self) -> Option<&'static str> {
        if self.workers.iter().any(|worker| worker.phase == WorkerPhase::Ready) {
            return None;
        }
        Some(match self.phase {
            AppPhase::Starting => "starting",
            AppPhase::Ready => "restarting",
            AppPhase::Failed => "failed",
            AppPhase::Stopping => "stopping",
        })
    }

    fn worker(&mut self, seat: Seat) -> Option<&mut Candidate> {
        self.workers.iter_mut().find(|worker| worker.seat == seat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(workers: &[(u64, u32, WorkerPhase)]) -> Vec<Described> {
        let describe = |(seat, capacity, phase): &(u64, u32, WorkerPhase)| Described {
            seat: Seat(*seat),
            capacity: *capacity,
            phase: *phase,
        };
        workers.iter().map(describe).collect()
    }

    fn slots(workers: &[(u64, u32, WorkerPhase)]) -> Slots<&'static str> {
        let mut slots = Slots::new(2);
        slots.update(AppPhase::Ready, &described(workers));
        slots
    }

    fn queued(slots: &mut Slots<&'static str>, name: &'static str) -> Ticket {
        match slots.admit(|| name) {
            Admission::Queued(ticket) => ticket,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_worker_with_most_free_threads_is_chosen() {
        let mut slots = slots(&[(1, 1, WorkerPhase::Ready), (2, 3, WorkerPhase::Ready)]);
        let granted: Vec<_> = (0..4).map(|_| slots.admit(|| "")).collect();
        let count = |generation| granted.iter().filter(|a| **a == Admission::Granted(Seat(generation))).count();
        assert_eq!((count(1), count(2)), (1, 3));
    }

    #[test]
    fn the_queue_is_fair_and_bounded() {
        let mut slots = slots(&[(1, 1, WorkerPhase::Ready)]);
        assert_eq!(slots.admit(|| "first"), Admission::Granted(Seat(1)));
        queued(&mut slots, "second");
        queued(&mut slots, "third");
        assert_eq!(slots.admit(|| "fourth"), Admission::Full);
        assert_eq!(slots.next_grant(), None);
        slots.free(Seat(1));
        assert_eq!(slots.next_grant(), Some(("second", Seat(1))));
        assert_eq!(slots.next_grant(), None);
        slots.free(Seat(1));
        assert_eq!(slots.next_grant(), Some(("third", Seat(1))));
    }

    #[test]
    fn who_leaves_the_queue_is_not_served() {
        let mut slots = slots(&[(1, 1, WorkerPhase::Ready)]);
        assert_eq!(slots.admit(|| "first"), Admission::Granted(Seat(1)));
        let gone = queued(&mut slots, "gone");
        queued(&mut slots, "stays");
        slots.leave(gone);
        slots.free(Seat(1));
        assert_eq!(slots.next_grant(), Some(("stays", Seat(1))));
    }

    #[test]
    fn only_ready_and_reachable_workers_get_requests() {
        for phase in [WorkerPhase::Starting, WorkerPhase::Unresponsive, WorkerPhase::Draining] {
            let mut slots = slots(&[(1, 1, phase)]);
            assert!(matches!(slots.admit(|| ""), Admission::Queued(_)), "{phase:?}");
        }
        let mut slots = slots(&[(1, 1, WorkerPhase::Ready)]);
        slots.set_unreachable(Seat(1), true);
        assert!(matches!(slots.admit(|| ""), Admission::Queued(_)));
    }

    #[test]
    fn requests_wait_while_an_app_starts_and_are_refused_once_it_failed() {
        let mut slots = Slots::new(2);
        queued(&mut slots, "early");
        slots.update(AppPhase::Failed, &described(&[]));
        assert_eq!(slots.admit(|| "late"), Admission::NoBackend);
        assert_eq!(slots.take_hopeless(), ["early"]);
        slots.update(AppPhase::Stopping, &described(&[]));
        assert_eq!(slots.admit(|| "later"), Admission::Draining);
    }

    #[test]
    fn a_slot_cut_short_is_held_until_its_thread_is_back() {
        let mut slots = slots(&[(1, 1, WorkerPhase::Ready)]);
        assert_eq!(slots.admit(|| ""), Admission::Granted(Seat(1)));
        slots.hold(7, Seat(1));
        queued(&mut slots, "next");
        assert_eq!(slots.next_grant(), None);
        slots.slot_back(8);
        assert_eq!(slots.next_grant(), None);
        slots.slot_back(7);
        assert_eq!(slots.next_grant(), Some(("next", Seat(1))));
    }

    #[test]
    fn a_word_that_comes_before_the_slot_is_held_counts() {
        let mut slots = slots(&[(1, 1, WorkerPhase::Ready)]);
        assert_eq!(slots.admit(|| ""), Admission::Granted(Seat(1)));
        slots.slot_back(7);
        assert!(matches!(slots.admit(|| "next"), Admission::Queued(_)));
        slots.hold(7, Seat(1));
        assert_eq!(slots.next_grant(), Some(("next", Seat(1))));
        slots.hold(7, Seat(1));
        assert!(matches!(slots.admit(|| ""), Admission::Queued(_)));
    }

    #[test]
    fn early_words_are_bounded() {
        let mut slots = slots(&[(1, 1, WorkerPhase::Ready)]);
        for dispatch in 0..=EARLY_WORDS as u64 {
            slots.slot_back(dispatch);
        }
        assert_eq!(slots.early.len(), EARLY_WORDS);
        assert_eq!(slots.early.front(), Some(&1));
    }

    #[test]
    fn held_slots_end_with_their_worker() {
        let mut slots = slots(&[(1, 1, WorkerPhase::Ready)]);
        assert_eq!(slots.admit(|| ""), Admission::Granted(Seat(1)));
        slots.hold(7, Seat(1));
        slots.update(AppPhase::Ready, &described(&[(2, 1, WorkerPhase::Ready)]));
        slots.slot_back(7);
        assert_eq!(slots.admit(|| ""), Admission::Granted(Seat(2)));
    }

    #[test]
    fn a_worker_is_drained_once_when_its_last_slot_is_free() {
        let mut slots = slots(&[(1, 2, WorkerPhase::Ready)]);
        assert_eq!(slots.admit(|| ""), Admission::Granted(Seat(1)));
        slots.update(AppPhase::Ready, &described(&[(1, 2, WorkerPhase::Draining), (2, 1, WorkerPhase::Ready)]));
        assert!(slots.take_drained().is_empty());
        slots.free(Seat(1));
        assert_eq!(slots.take_drained(), [Seat(1)]);
        assert!(slots.take_drained().is_empty());
    }

    #[test]
    fn a_worker_with_fewer_busy_threads_than_slots_gives_up_what_is_held_on_it() {
        let mut slots = slots(&[(1, 2, WorkerPhase::Ready)]);
        assert_eq!(slots.admit(|| ""), Admission::Granted(Seat(1)));
        assert_eq!(slots.admit(|| ""), Admission::Granted(Seat(1)));
        slots.hold(7, Seat(1));
        for busy in [1, 1, 2, 1, 1] {
            slots.sweep_held(Seat(1), busy);
        }
        assert!(matches!(slots.admit(|| ""), Admission::Queued(_)));
        let Some(_) = slots.waiting.pop_first() else { panic!("nobody waits") };
        slots.sweep_held(Seat(1), 1);
        assert_eq!(slots.admit(|| ""), Admission::Granted(Seat(1)));
        assert!(matches!(slots.admit(|| ""), Admission::Queued(_)));
    }
}
