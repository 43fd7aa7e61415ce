//! Who gets which worker: the slots of an app's workers and the queue in front of them, under one lock of
//! the app. Decisions only; no I/O.

use tidegate_contract::AppPhase;
use tidegate_site::Priority;

use super::queue::{Place, Queue, Ticket};
use super::workers::{Described, Seat, Workers};

/// What became of a request that asked for a slot.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Admission<W> {
    /// It has a slot of this worker.
    Granted(Seat),
    /// It waits; the request that had to leave the queue for it does not.
    Queued(Ticket, Option<W>),
    /// It cannot be served.
    Refused(Refusal),
}

/// Why a request gets neither a worker nor a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
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
    pub(super) workers: Workers,
    pub(super) queue: Queue<W>,
}

impl<W> Slots<W> {
    /// No worker yet; requests wait.
    pub(super) fn new(size: usize) -> Self {
        Self { phase: AppPhase::Starting, workers: Workers::default(), queue: Queue::new(size) }
    }

    /// Takes the slot of the worker with most free threads, or a place in the queue. Nobody overtakes
    /// those who wait, but for what the queue itself prefers.
    pub(super) fn admit(&mut self, priority: Priority, wait: impl FnOnce() -> W) -> Admission<W> {
        if let Some(refusal) = self.hopeless() {
            return Admission::Refused(refusal);
        }
        if self.queue.is_empty()
            && let Some(seat) = self.workers.take()
        {
            return Admission::Granted(seat);
        }
        match self.queue.push(priority, wait) {
            Place::Taken(ticket, displaced) => Admission::Queued(ticket, displaced),
            Place::Full => Admission::Refused(Refusal::Full),
        }
    }

    /// Why no request can be served, however long it waits.
    fn hopeless(&self) -> Option<Refusal> {
        match self.phase {
            AppPhase::Failed => Some(Refusal::NoBackend),
            AppPhase::Stopping => Some(Refusal::Draining),
            AppPhase::Starting | AppPhase::Ready => None,
        }
    }

    /// Why a request of this class would be refused if it asked now.
    pub(super) fn refusal(&self, priority: Priority) -> Option<Refusal> {
        let is_full = !self.queue.has_room(priority) && !self.workers.has_free();
        self.hopeless().or(is_full.then_some(Refusal::Full))
    }

    /// The next waiting request together with a slot for it, if there are both.
    pub(super) fn next_grant(&mut self) -> Option<(W, Seat)> {
        if self.queue.is_empty() {
            return None;
        }
        let seat = self.workers.take()?;
        let Some(waiter) = self.queue.pop() else {
            self.workers.free(seat);
            return None;
        };
        Some((waiter, seat))
    }

    /// Everybody who waits in vain, when the app cannot be served any more.
    pub(super) fn take_hopeless(&mut self) -> Vec<W> {
        if self.hopeless().is_some() { self.queue.take_all() } else { Vec::new() }
    }

    /// Takes over what the app server says. Workers it does not name are gone with their slots.
    pub(super) fn update(&mut self, phase: AppPhase, described: &[Described]) {
        self.phase = phase;
        self.workers.update(described);
    }

    /// The app server is gone, and so is whatever would serve.
    pub(super) fn lose_all(&mut self) {
        self.phase = AppPhase::Failed;
        self.workers.lose();
    }

    /// Whether a free slot may mean something to somebody: a request waits, or a worker drains.
    pub(super) fn is_awaited(&self) -> bool {
        !self.queue.is_empty() || self.workers.is_draining()
    }

    /// Why a request would have to wait or fail; nothing if a worker is ready.
    pub(super) fn not_ready(&self) -> Option<&'static str> {
        if self.workers.is_ready() {
            return None;
        }
        Some(match self.phase {
            AppPhase::Starting => "starting",
            AppPhase::Ready => "restarting",
            AppPhase::Failed => "failed",
            AppPhase::Stopping => "stopping",
        })
    }
}

#[cfg(test)]
mod tests {
    use tidegate_contract::WorkerPhase;

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
        match slots.admit(Priority::Normal, || name) {
            Admission::Queued(ticket, None) => ticket,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_worker_with_most_free_threads_is_chosen() {
        let mut slots = slots(&[(1, 1, WorkerPhase::Ready), (2, 3, WorkerPhase::Ready)]);
        let granted: Vec<_> = (0..4).map(|_| slots.admit(Priority::Normal, || "")).collect();
        let count = |generation| granted.iter().filter(|a| **a == Admission::Granted(Seat(generation))).count();
        assert_eq!((count(1), count(2)), (1, 3));
    }

    #[test]
    fn the_queue_is_fair_and_bounded() {
        let mut slots = slots(&[(1, 1, WorkerPhase::Ready)]);
        assert_eq!(slots.admit(Priority::Normal, || "first"), Admission::Granted(Seat(1)));
        queued(&mut slots, "second");
        queued(&mut slots, "third");
        assert_eq!(slots.admit(Priority::Normal, || "fourth"), Admission::Refused(Refusal::Full));
        assert_eq!(slots.next_grant(), None);
        slots.workers.free(Seat(1));
        assert_eq!(slots.next_grant(), Some(("second", Seat(1))));
        assert_eq!(slots.next_grant(), None);
        slots.workers.free(Seat(1));
        assert_eq!(slots.next_grant(), Some(("third", Seat(1))));
    }

    #[test]
    fn who_leaves_the_queue_is_not_served() {
        let mut slots = slots(&[(1, 1, WorkerPhase::Ready)]);
        assert_eq!(slots.admit(Priority::Normal, || "first"), Admission::Granted(Seat(1)));
        let gone = queued(&mut slots, "gone");
        queued(&mut slots, "stays");
        slots.queue.leave(gone);
        slots.workers.free(Seat(1));
        assert_eq!(slots.next_grant(), Some(("stays", Seat(1))));
    }

    #[test]
    fn only_ready_and_reachable_workers_get_requests() {
        for phase in [WorkerPhase::Starting, WorkerPhase::Unresponsive, WorkerPhase::Draining] {
            let mut slots = slots(&[(1, 1, phase)]);
            assert!(matches!(slots.admit(Priority::Normal, || ""), Admission::Queued(..)), "{phase:?}");
        }
        let mut slots = slots(&[(1, 1, WorkerPhase::Ready)]);
        slots.workers.set_unreachable(Seat(1), true);
        assert!(matches!(slots.admit(Priority::Normal, || ""), Admission::Queued(..)));
    }

    #[test]
    fn requests_wait_while_an_app_starts_and_are_refused_once_it_failed() {
        let mut slots = Slots::new(2);
        queued(&mut slots, "early");
        slots.update(AppPhase::Failed, &described(&[]));
        assert_eq!(slots.admit(Priority::Normal, || "late"), Admission::Refused(Refusal::NoBackend));
        assert_eq!(slots.take_hopeless(), ["early"]);
        slots.update(AppPhase::Stopping, &described(&[]));
        assert_eq!(slots.admit(Priority::Normal, || "later"), Admission::Refused(Refusal::Draining));
    }

    #[test]
    fn a_slot_cut_short_is_held_until_its_thread_is_back() {
        let mut slots = slots(&[(1, 1, WorkerPhase::Ready)]);
        assert_eq!(slots.admit(Priority::Normal, || ""), Admission::Granted(Seat(1)));
        slots.workers.hold(7, Seat(1));
        queued(&mut slots, "next");
        assert_eq!(slots.next_grant(), None);
        slots.workers.slot_back(8);
        assert_eq!(slots.next_grant(), None);
        slots.workers.slot_back(7);
        assert_eq!(slots.next_grant(), Some(("next", Seat(1))));
    }

    #[test]
    fn a_word_that_comes_before_the_slot_is_held_counts() {
        let mut slots = slots(&[(1, 1, WorkerPhase::Ready)]);
        assert_eq!(slots.admit(Priority::Normal, || ""), Admission::Granted(Seat(1)));
        slots.workers.slot_back(7);
        assert!(matches!(slots.admit(Priority::Normal, || "next"), Admission::Queued(..)));
        slots.workers.hold(7, Seat(1));
        assert_eq!(slots.next_grant(), Some(("next", Seat(1))));
        slots.workers.hold(7, Seat(1));
        assert!(matches!(slots.admit(Priority::Normal, || ""), Admission::Queued(..)));
    }

    #[test]
    fn held_slots_end_with_their_worker() {
        let mut slots = slots(&[(1, 1, WorkerPhase::Ready)]);
        assert_eq!(slots.admit(Priority::Normal, || ""), Admission::Granted(Seat(1)));
        slots.workers.hold(7, Seat(1));
        slots.update(AppPhase::Ready, &described(&[(2, 1, WorkerPhase::Ready)]));
        slots.workers.slot_back(7);
        assert_eq!(slots.admit(Priority::Normal, || ""), Admission::Granted(Seat(2)));
    }

    #[test]
    fn a_worker_is_drained_once_when_its_last_slot_is_free() {
        let mut slots = slots(&[(1, 2, WorkerPhase::Ready)]);
        assert_eq!(slots.admit(Priority::Normal, || ""), Admission::Granted(Seat(1)));
        slots.update(AppPhase::Ready, &described(&[(1, 2, WorkerPhase::Draining), (2, 1, WorkerPhase::Ready)]));
        assert!(slots.workers.take_drained().is_empty());
        slots.workers.free(Seat(1));
        assert_eq!(slots.workers.take_drained(), [Seat(1)]);
        assert!(slots.workers.take_drained().is_empty());
    }

    #[test]
    fn a_worker_with_fewer_busy_threads_than_slots_gives_up_what_is_held_on_it() {
        let mut slots = slots(&[(1, 2, WorkerPhase::Ready)]);
        assert_eq!(slots.admit(Priority::Normal, || ""), Admission::Granted(Seat(1)));
        assert_eq!(slots.admit(Priority::Normal, || ""), Admission::Granted(Seat(1)));
        slots.workers.hold(7, Seat(1));
        for busy in [1, 1, 2, 1, 1] {
            slots.workers.sweep_held(Seat(1), busy);
        }
        assert!(matches!(slots.admit(Priority::Normal, || ""), Admission::Queued(..)));
        let Some(_) = slots.queue.pop() else { panic!("nobody waits") };
        slots.workers.sweep_held(Seat(1), 1);
        assert_eq!(slots.admit(Priority::Normal, || ""), Admission::Granted(Seat(1)));
        assert!(matches!(slots.admit(Priority::Normal, || ""), Admission::Queued(..)));
    }
}
