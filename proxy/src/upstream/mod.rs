//! The upstream half: an app's workers, the queue in front of them and the pooled connections to
//! them. `control` feeds it the pool's state, `request` takes leases and makes calls.
//!
//! It never decides on a status: a failure leaves here as a cause.

mod admission;
mod call;
mod connection;
mod stream;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tidegate_contract::{AppPhase, AppState, Cause, Generation, PoolState, WorkerPhase};
use tidegate_host::Endpoint;
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use self::admission::{Admission, Described, Seat, Slots, Ticket};
pub(crate) use self::call::{Answer, AnswerBody, CallFailure, Deadlines};
use self::connection::Connection;
pub(crate) use self::connection::{BodyPart, BodySender, RequestBody};
use crate::metrics::{AppMetrics, AppReadiness, Held, Metrics, WorkerMetrics};

/// A draining worker on which nothing runs any more.
#[derive(Debug)]
pub(crate) struct Drained {
    /// The app.
    pub(crate) app: String,
    /// The worker.
    pub(crate) generation: Generation,
}

/// Every app the proxy dispatches to.
#[derive(Debug)]
pub(crate) struct Apps {
    apps: RwLock<HashMap<Arc<str>, Arc<App>>>,
    metrics: Arc<Metrics>,
    drained: mpsc::Sender<Drained>,
}

impl Apps {
    /// No app yet. What has drained is sent to `drained`.
    pub(crate) fn new(metrics: Arc<Metrics>, drained: mpsc::Sender<Drained>) -> Self {
        Self { apps: RwLock::default(), metrics, drained }
    }

    /// Makes the site's apps known. Those it does not have are forgotten once their last worker
    /// has drained.
    pub(crate) fn configure(&self, site: &tidegate_site::Site) {
        let mut apps = self.apps.write();
        for (name, known) in &*apps {
            let wanted = site.apps.iter().any(|app| app.name == *name);
            known.wanted.store(wanted, Ordering::Relaxed);
        }
        for app in &site.apps {
            self.metrics.app(&app.name).set_processes(app.processes);
            match apps.get(&app.name) {
                Some(known) => known.inner.lock().slots.resize(app.queue.size),
                None => {
                    let known = App {
                        name: Arc::clone(&app.name),
                        inner: Mutex::new(Inner {
                            slots: Slots::new(app.queue.size),
                            backends: HashMap::new(),
                            next_seat: 0,
                        }),
                        metrics: self.metrics.app(&app.name),
                        drained: self.drained.clone(),
                        dispatches: AtomicU64::new(first_dispatch()),
                        wanted: true.into(),
                    };
                    apps.insert(Arc::clone(&app.name), Arc::new(known));
                }
            }
        }
    }

    /// The app of this name.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<App>> {
        self.apps.read().get(name).cloned()
    }

    /// Takes over what the app server says.
    pub(crate) fn update(&self, pool: &PoolState) {
        for state in &pool.apps {
            if let Some(app) = self.find(&state.name) {
                app.update(state);
            }
        }
        self.forget_unwanted(pool);
    }

    /// Forgets apps that the site no longer has and the app server no longer names.
    fn forget_unwanted(&self, pool: &PoolState) {
        let is_over =
            |app: &App| !app.wanted.load(Ordering::Relaxed) && !pool.apps.iter().any(|state| *state.name == *app.name);
        if !self.apps.read().values().any(|app| is_over(app)) {
            return;
        }
        let mut over = Vec::new();
        self.apps.write().retain(|_, app| {
            let keep = !is_over(app);
            if !keep {
                over.push(Arc::clone(app));
            }
            keep
        });
        for app in over {
            self.metrics.forget_app(&app.name);
            let waiting = {
                let mut inner = app.inner.lock();
                inner.slots.lose_all();
                inner.backends.clear();
                inner.slots.take_hopeless()
            };
            refuse(waiting, Cause::NoBackend);
        }
    }

    /// A thread whose request was cut short is back.
    pub(crate) fn slot_back(&self, app: &str, dispatch: u64) {
        if let Some(app) = self.find(app) {
            app.inner.lock().slots.slot_back(dispatch);
            app.serve_queue();
        }
    }

    /// The app server is gone: nothing will serve any app until it is back.
    pub(crate) fn lose_all(&self) {
        let apps: Vec<_> = self.apps.read().values().cloned().collect();
        for app in apps {
            let waiting = {
                let mut inner = app.inner.lock();
                inner.slots.lose_all();
                inner.slots.take_hopeless()
            };
            app.metrics.set_up(false);
            app.metrics.set_down_unless(|_| false);
            refuse(waiting, Cause::NoBackend);
        }
    }

    /// The channel to the app server is open again: what was said on the last one may be lost.
    pub(crate) fn reconnected(&self) {
        for app in self.apps.read().values() {
            app.inner.lock().slots.repeat_drained();
        }
    }

    /// Once a second: tries unreachable workers again and frees slots that nobody will free.
    pub(crate) fn sweep(&self) {
        let apps: Vec<_> = self.apps.read().values().cloned().collect();
        for app in apps {
            app.sweep();
        }
    }

    /// Every app and whether it serves, for /readyz.
    pub(crate) fn readiness(&self) -> Vec<AppReadiness> {
        let apps = self.apps.read();
        let mut readiness: Vec<_> = apps
            .values()
            .filter(|app| app.wanted.load(Ordering::Relaxed))
            .map(|app| AppReadiness { name: app.name.to_string(), not_ready: app.inner.lock().slots.not_ready() })
            .collect();
        readiness.sort_by(|a, b| a.name.cmp(&b.name));
        readiness
    }
}

/// An app: its workers and its queue.
#[derive(Debug)]
pub(crate) struct App {
    name: Arc<str>,
    inner: Mutex<Inner>,
    /// Counters of the app.
    pub(crate) metrics: Arc<AppMetrics>,
    drained: mpsc::Sender<Drained>,
    dispatches: AtomicU64,
    /// Whether the site has it.
    wanted: AtomicBool,
}

#[derive(Debug)]
struct Inner {
    slots: Slots<oneshot::Sender<Result<Lease, Cause>>>,
    backends: HashMap<Seat, Arc<Backend>>,
    next_seat: u64,
}

/// A worker process that can be connected to.
pub(crate) struct Backend {
    seat: Seat,
    generation: Generation,
    endpoint: Endpoint,
    /// Slot number: the metric label.
    pub(crate) slot: u32,
    /// Counters of the worker.
    pub(crate) metrics: Arc<WorkerMetrics>,
    idle: Mutex<Vec<Connection>>,
    /// Busy threads, by the last heartbeat the proxy was told of.
    busy: AtomicU32,
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
            busy: AtomicU32::new(0),
        });
        self.backends.insert(seat, Arc::clone(&backend));
        backend
    }
}

impl std::fmt::Debug for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backend").field("generation", &self.generation).field("endpoint", &self.endpoint).finish()
    }
}

impl App {
    /// Waits for a worker with a free thread, at most `limit`. Dropping the future leaves the
    /// queue.
    pub(crate) async fn acquire(self: &Arc<Self>, limit: Duration) -> Result<Lease, Cause> {
        let (ticket, granted) = {
            let mut channel = None;
            let mut inner = self.inner.lock();
            let admission = inner.slots.admit(|| {
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
                (Admission::Queued(ticket), Some(receiver)) => (ticket, receiver),
                (Admission::Draining, _) => return Err(Cause::Draining),
                (Admission::NoBackend | Admission::Queued(_), _) => return Err(Cause::NoBackend),
                (Admission::Full, _) => return Err(Cause::QueueFull),
            }
        };
        let place = Place { app: self, ticket };
        let _waiting = self.metrics.queued();
        let granted = tokio::time::timeout(limit, granted).await;
        drop(place);
        match granted {
            Ok(Ok(granted)) => granted,
            Ok(Err(_)) => Err(Cause::NoBackend),
            Err(_) => Err(Cause::QueueTimeout),
        }
    }

    fn lease(self: &Arc<Self>, backend: Option<Arc<Backend>>, seat: Seat) -> Option<Lease> {
        let Some(backend) = backend else {
            // A slot without its backend cannot be; give it back rather than lose it.
            self.inner.lock().slots.free(seat);
            return None;
        };
        let dispatch = self.dispatches.fetch_add(1, Ordering::Relaxed) + 1;
        let in_flight = backend.metrics.dispatched();
        Some(Lease { app: Arc::clone(self), backend, dispatch, hold: Hold::Unused, _in_flight: in_flight })
    }

    /// Hands free slots to those who wait.
    fn serve_queue(self: &Arc<Self>) {
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
            let seats = inner.slots.take_drained();
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

    fn update(self: &Arc<Self>, state: &AppState) {
        let waiting = {
            let mut inner = self.inner.lock();
            let mut described = Vec::with_capacity(state.workers.len());
            for worker in &state.workers {
                let Ok(endpoint) = worker.endpoint.parse::<Endpoint>() else {
                    warn!(app = %self.name, worker = worker.slot, endpoint = %worker.endpoint, "unknown endpoint");
                    continue;
                };
                let backend = inner.seat(worker.generation, endpoint, worker.slot, &self.metrics);
                backend.busy.store(worker.threads_busy, Ordering::Relaxed);
                described.push(Described { seat: backend.seat, capacity: worker.threads_max, phase: worker.phase });
            }
            inner.backends.retain(|seat, _| described.iter().any(|worker| worker.seat == *seat));
            inner.slots.update(state.phase, &described);
            inner.slots.take_hopeless()
        };
        self.observe(state);
        let cause = if state.phase == AppPhase::Stopping { Cause::Draining } else { Cause::NoBackend };
        refuse(waiting, cause);
        self.serve_queue();
    }

    /// Shows the pool's state in the metrics.
    fn observe(&self, state: &AppState) {
        self.metrics.set_up(state.workers.iter().any(|worker| worker.phase == WorkerPhase::Ready));
        self.metrics.set_restarts(&state.restarts);
        // A draining worker and its replacement share a slot; the slot is up if either serves.
        let mut slots: BTreeMap<u32, (bool, u32, u32, u32)> = BTreeMap::new();
        let mut costs: BTreeMap<u32, (u64, Vec<(Generation, u64)>)> = BTreeMap::new();
        for worker in &state.workers {
            let (up, busy, threads, max) = slots.entry(worker.slot).or_default();
            *up |= worker.phase == WorkerPhase::Ready;
            *busy += worker.threads_busy;
            *threads += worker.threads;
            *max = worker.threads_max;
            let (memory, cpu) = costs.entry(worker.slot).or_default();
            *memory += worker.memory_bytes;
            cpu.push((worker.generation, worker.cpu_ms));
        }
        self.metrics.set_down_unless(|slot| slots.contains_key(&slot));
        for (slot, (up, busy, threads, max)) in slots {
            let metrics = self.metrics.worker(slot);
            metrics.set_up(up);
            metrics.set_threads(busy, threads, max);
        }
        for (slot, (memory, cpu)) in costs {
            let metrics = self.metrics.worker(slot);
            metrics.set_memory(memory);
            metrics.set_cpu(&cpu);
        }
    }

    fn sweep(self: &Arc<Self>) {
        {
            let mut inner = self.inner.lock();
            let workers: Vec<_> = inner
                .slots
                .workers()
                .iter()
                .filter(|worker| worker.phase == WorkerPhase::Ready)
                .map(|worker| (worker.seat, worker.unreachable))
                .collect();
            for (seat, unreachable) in workers {
                if unreachable {
                    inner.slots.set_unreachable(seat, false);
                }
                let busy = inner.backends.get(&seat).map_or(u32::MAX, |backend| backend.busy.load(Ordering::Relaxed));
                inner.slots.sweep_held(seat, busy);
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

fn refuse(waiting: Vec<oneshot::Sender<Result<Lease, Cause>>>, cause: Cause) {
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
        self.app.inner.lock().slots.leave(self.ticket);
    }
}

/// The right to one thread of a worker.
///
/// Dropped before anything was sent it frees the slot; dropped after, it leaves the slot to the
/// worker's word. [`Lease::finish`] frees it.
#[derive(Debug)]
pub(crate) struct Lease {
    app: Arc<App>,
    backend: Arc<Backend>,
    dispatch: u64,
    hold: Hold,
    _in_flight: Held,
}

#[derive(Debug, PartialEq, Eq)]
enum Hold {
    Unused,
    Sent,
    Done,
}

impl Lease {
    /// The dispatch's number.
    pub(crate) fn dispatch(&self) -> u64 {
        self.dispatch
    }

    /// The worker.
    pub(crate) fn backend(&self) -> &Arc<Backend> {
        &self.backend
    }

    /// From here on the worker may have the request.
    fn sent(&mut self) {
        self.hold = Hold::Sent;
    }

    /// No byte went out after all.
    fn not_sent(&mut self) {
        self.hold = Hold::Unused;
    }

    /// The worker is done with it: its thread is back.
    fn finish(mut self) {
        self.give_back();
    }

    fn give_back(&mut self) {
        self.hold = Hold::Done;
        let awaited = {
            let mut inner = self.app.inner.lock();
            inner.slots.free(self.backend.seat);
            inner.slots.is_awaited()
        };
        if awaited {
            self.app.serve_queue();
        }
    }

    /// The worker cannot be connected to; nobody should try for a while.
    fn unreachable(self) {
        self.app.inner.lock().slots.set_unreachable(self.backend.seat, true);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        match self.hold {
            Hold::Done => {}
            Hold::Unused => self.give_back(),
            Hold::Sent => {
                let awaited = {
                    let mut inner = self.app.inner.lock();
                    inner.slots.hold(self.dispatch, self.backend.seat);
                    inner.slots.is_awaited()
                };
                // The worker's word may have come already.
                if awaited {
                    self.app.serve_queue();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
