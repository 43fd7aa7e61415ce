//! An app: its workers and the queue in front of them, under one lock. Called by `apps` with what the
//! app server says, and by requests that want a worker.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tidegate_contract::{AppPhase, AppState, Cause, Generation, WorkerPhase};
use tidegate_host::Endpoint;
use tidegate_site::Priority;
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use super::admission::{Admission, Refusal, Slots};
use super::backend::Backend;
use super::lease::Lease;
use super::queue::Ticket;
use super::workers::{Described, Seat};
use super::{Drained, pool_metrics};
use crate::metrics::AppMetrics;

/// How a request that waits is told.
type Waiter = oneshot::Sender<Result<Lease, Cause>>;

/// An app: its workers and its queue.
#[derive(Debug)]
pub(crate) struct App {
    pub(super) name: Arc<str>,
    pub(super) inner: Mutex<Inner>,
    /// Counters of the app.
    pub(crate) metrics: Arc<AppMetrics>,
    pub(super) drained: mpsc::Sender<Drained>,
    pub(super) dispatches: AtomicU64,
    /// Whether the site has it.
    pub(super) wanted: AtomicBool,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) slots: Slots<Waiter>,
    pub(super) backends: HashMap<Seat, Arc<Backend>>,
    pub(super) next_seat: u64,
}

impl Inner {
    /// The worker that has this endpoint, known from before or new.
    fn seat(&mut self, generation: Generation, endpoint: Endpoint, slot: u32, metrics: &AppMetrics) -> Arc<Backend> {
        let is_it = |backend: &&Arc<Backend>| backend.generation == generation && backend.endpoint == endpoint;
        if let Some(known) = self.backends.values().find(is_it) {
            return Arc::clone(known);
        }
        let seat = Seat(self.next_seat);
        self.next_seat += 1;
        let backend = Arc::new(Backend {
            seat,
            generation,
            endpoint,
            slot,
            metrics: metrics.worker(slot),
            idle: Mutex::default(),
            pid: AtomicU32::new(0),
            busy: AtomicU32::new(0),
        });
        self.backends.insert(seat, Arc::clone(&backend));
        backend
    }
}

impl App {
    /// An app that nothing is known of but its name.
    pub(super) fn new(name: Arc<str>, queue: usize, metrics: Arc<AppMetrics>, drained: mpsc::Sender<Drained>) -> Self {
        Self {
            name,
            inner: Mutex::new(Inner { slots: Slots::new(queue), backends: HashMap::new(), next_seat: 0 }),
            metrics,
            drained,
            dispatches: AtomicU64::new(first_dispatch()),
            wanted: true.into(),
        }
    }

    /// Waits for a worker with a free thread, at most `limit`. Dropping the future leaves the
    /// queue.
    pub(crate) async fn acquire(self: &Arc<Self>, priority: Priority, limit: Duration) -> Result<Lease, Cause> {
        let (ticket, granted) = {
            let mut channel = None;
            let mut inner = self.inner.lock();
            let admission = inner.slots.admit(priority, || {
                let (sender, receiver) = oneshot::channel();
                channel = Some(receiver);
                sender
            });
            match (admission, channel) {
                (Admission::Granted(seat), _) => {
                    let backend = inner.backends.get(&seat).cloned();
                    drop(inner);
                    return self.lease(backend, seat).ok_or(Cause::NoBackend);
                }
                (Admission::Queued(ticket, displaced), Some(receiver)) => {
                    refuse(displaced, Cause::QueueFull);
                    (ticket, receiver)
                }
                (Admission::Queued(..), None) => return Err(Cause::NoBackend),
                (Admission::Refused(refusal), _) => return Err(cause(refusal)),
            }
        };
        let place = Place { app: self, ticket };
        let _waiting = self.metrics.queued(priority);
        let granted = tokio::time::timeout(limit, granted).await;
        drop(place);
        match granted {
            Ok(Ok(granted)) => granted,
            Ok(Err(_)) => Err(Cause::NoBackend),
            Err(_) => Err(Cause::QueueTimeout),
        }
    }

    /// Why a request would be refused if it asked for a worker now: worth knowing before a long body is read.
    pub(crate) fn refusal(&self, priority: Priority) -> Option<Cause> {
        self.inner.lock().slots.refusal(priority).map(cause)
    }

    fn lease(self: &Arc<Self>, backend: Option<Arc<Backend>>, seat: Seat) -> Option<Lease> {
        let Some(backend) = backend else {
            // A slot without its backend cannot be; give it back rather than lose it.
            self.inner.lock().slots.workers.free(seat);
            return None;
        };
        let dispatch = self.dispatches.fetch_add(1, Ordering::Relaxed) + 1;
        let in_flight = backend.metrics.dispatched();
        Some(Lease::new(Arc::clone(self), backend, dispatch, in_flight))
    }

    /// Hands free slots to those who wait.
    pub(super) fn serve_queue(self: &Arc<Self>) {
        loop {
            let (waiter, backend, seat) = {
                let mut inner = self.inner.lock();
                let Some((waiter, seat)) = inner.slots.next_grant() else { break };
                (waiter, inner.backends.get(&seat).cloned(), seat)
            };
            if let Some(lease) = self.lease(backend, seat) {
                // A waiter that has just gone drops the lease, which frees the slot.
                let _ = waiter.send(Ok(lease));
            }
        }
        let drained: Vec<Generation> = {
            let mut inner = self.inner.lock();
            let seats = inner.slots.workers.take_drained();
            seats.iter().filter_map(|seat| Some(inner.backends.get(seat)?.generation)).collect()
        };
        for generation in drained {
            let drained = Drained { app: self.name.to_string(), generation };
            if self.drained.try_send(drained).is_err() {
                // The app server's drain timeout covers the loss.
                warn!(app = %self.name, generation, "could not report a drained worker");
            }
        }
    }

    pub(super) fn update(self: &Arc<Self>, state: &AppState) {
        let waiting = {
            let mut inner = self.inner.lock();
            let mut described = Vec::with_capacity(state.workers.len());
            for worker in &state.workers {
                let Ok(endpoint) = worker.endpoint.parse::<Endpoint>() else {
                    warn!(app = %self.name, worker = worker.slot, endpoint = %worker.endpoint, "unknown endpoint");
                    continue;
                };
                let backend = inner.seat(worker.generation, endpoint, worker.slot, &self.metrics);
                backend.pid.store(worker.pid, Ordering::Relaxed);
                backend.busy.store(worker.threads_busy, Ordering::Relaxed);
                described.push(Described { seat: backend.seat, capacity: worker.threads_max, phase: worker.phase });
            }
            inner.backends.retain(|seat, _| described.iter().any(|worker| worker.seat == *seat));
            inner.slots.update(state.phase, &described);
            inner.slots.take_hopeless()
        };
        pool_metrics::observe(&self.metrics, state);
        let cause = if state.phase == AppPhase::Stopping { Cause::Draining } else { Cause::NoBackend };
        refuse(waiting, cause);
        self.serve_queue();
    }

    pub(super) fn sweep(self: &Arc<Self>) {
        {
            let mut inner = self.inner.lock();
            let workers: Vec<_> = inner
                .slots
                .workers
                .all()
                .iter()
                .filter(|worker| worker.phase == WorkerPhase::Ready)
                .map(|worker| (worker.seat, worker.unreachable))
                .collect();
            for (seat, unreachable) in workers {
                if unreachable {
                    inner.slots.workers.set_unreachable(seat, false);
                }
                let busy = inner.backends.get(&seat).map_or(u32::MAX, |backend| backend.busy.load(Ordering::Relaxed));
                inner.slots.workers.sweep_held(seat, busy);
            }
        }
        self.serve_queue();
    }
}

/// Where an app's dispatch numbers begin: not where they began before the proxy was restarted, since
/// a worker may still speak of those.
fn first_dispatch() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    // The standard library's hash keys come from the system's random numbers. Half the range is left.
    RandomState::new().hash_one(0_u8) >> 1
}

fn cause(refusal: Refusal) -> Cause {
    match refusal {
        Refusal::Full => Cause::QueueFull,
        Refusal::NoBackend => Cause::NoBackend,
        Refusal::Draining => Cause::Draining,
    }
}

/// Tells those who wait that it was in vain.
pub(super) fn refuse(waiting: impl IntoIterator<Item = Waiter>, cause: Cause) {
    for waiter in waiting {
        // Whoever has left meanwhile needs no answer.
        let _ = waiter.send(Err(cause));
    }
}

/// A place in the queue, given up on drop.
struct Place<'a> {
    app: &'a App,
    ticket: Ticket,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.app.inner.lock().slots.queue.leave(self.ticket);
    }
}
