//! One app's pool as a task: starts and stops worker processes as `slots` decides, counts and
//! logs what happens to them, and puts the app's state on the board. Started by `server` and
//! `reload`; one after each reload. Never speaks to the proxy itself.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tidegate_contract::{AppPhase, Generation, RestartReason, WorkerState};
use tidegate_site::App;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{self, Instant};

use crate::board::{Board, Entry, View};
use crate::channel::{self, Channel};
use crate::complaint::Complaints;
use crate::end::End;
use crate::launch::{self, WorkerProgram};
use crate::ledger::{Counters, Ledger};
use crate::proxy::ProxyLink;
use crate::slots::{Action, Purpose, Slots};
use crate::worker::{self, Job, News};

/// Figures of heartbeats are published this often; everything else at once.
const FIGURES: Duration = Duration::from_secs(1);
const COMMANDS: usize = 256;
const NEWS: usize = 256;

/// What every pool works with.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) program: WorkerProgram,
    pub(crate) channel: Channel,
    pub(crate) runtime_dir: PathBuf,
    pub(crate) instance: String,
    pub(crate) board: Board,
    pub(crate) link: Arc<ProxyLink>,
    pub(crate) ledger: Ledger,
    pub(crate) pools_started: AtomicU64,
}

#[derive(Debug)]
enum Command {
    Drained(Generation),
    Promote,
    Leave { shutdown: bool },
}

/// What a trial's reload wants to know.
#[derive(Debug)]
pub(crate) enum Trial {
    /// A worker is ready, so long after its start.
    Ready { app: Arc<str>, slot: u32, took: Duration },
    /// Every slot has a ready worker; said once.
    Complete,
    /// A worker failed; the first failure is the reload's.
    Failed { app: Arc<str>, slot: u32, end: End },
}

/// A running pool. Dropping it kills its workers.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) number: u64,
    pub(crate) app: Arc<str>,
    counters: Arc<Counters>,
    commands: mpsc::Sender<Command>,
    view: watch::Receiver<View>,
    task: JoinHandle<()>,
}

/// Reaches a pool without owning it.
#[derive(Debug, Clone)]
pub(crate) struct PoolRemote(mpsc::Sender<Command>);

impl Pool {
    /// Starts a pool: as a trial if someone wants to hear about it, else to serve.
    pub(crate) fn start(app: Arc<App>, ground: Arc<Ground>, trial: Option<mpsc::Sender<Trial>>) -> Self {
        let (sender, commands) = mpsc::channel(COMMANDS);
        let purpose = if trial.is_some() { Purpose::Trial } else { Purpose::Serve };
        let counters = ground.ledger.of(&app.name);
        let number = ground.pools_started.fetch_add(1, Ordering::Relaxed);
        // Without random numbers no worker can be started either, which says so.
        let seed = getrandom::u64().unwrap_or(number);
        let slots = Slots::new(app.processes, app.threads.max, app.drain_timeout, purpose, seed, Instant::now());
        let (view_sender, view) = watch::channel(look(&slots));
        let (news_sender, news) = mpsc::channel(NEWS);
        let name = Arc::clone(&app.name);
        let actor = Actor {
            number,
            proxy: ground.link.watch(),
            app,
            ground,
            counters: Arc::clone(&counters),
            slots,
            workers: HashMap::new(),
            tasks: JoinSet::new(),
            news_sender,
            trial,
            complaints: Complaints::default(),
            view: view_sender,
            published: Instant::now(),
            shutdown: false,
        };
        let task = tokio::spawn(actor.run(commands, news));
        Self { number, app: name, counters, commands: sender, view, task }
    }

    /// Its place on the board.
    pub(crate) fn entry(&self) -> Entry {
        let view = self.view.borrow().clone();
        Entry {
            pool: self.number,
            app: Arc::clone(&self.app),
            counters: Arc::clone(&self.counters),
            view,
            retired: false,
        }
    }

    pub(crate) fn remote(&self) -> PoolRemote {
        PoolRemote(self.commands.clone())
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// To wait for its last worker's end after [`PoolRemote::leave`].
    pub(crate) fn ended(&self) -> Ended {
        Ended(self.view.clone())
    }
}

/// The end of a pool, awaited without owning it.
#[derive(Debug)]
pub(crate) struct Ended(watch::Receiver<View>);

impl Ended {
    /// Resolves when the pool's task has ended. Cancel-safe.
    pub(crate) async fn wait(&mut self) {
        while self.0.changed().await.is_ok() {}
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl PoolRemote {
    /// Its entry is on the board; a trial serves from now on.
    pub(crate) async fn promote(&self) {
        self.say(Command::Promote).await;
    }

    /// Everything in it drains and ends: replaced by a reload, or because of a shutdown.
    pub(crate) async fn leave(&self, shutdown: bool) {
        self.say(Command::Leave { shutdown }).await;
    }

    /// The proxy has no request in flight on this worker, if it is this pool's.
    pub(crate) async fn drained(&self, generation: Generation) {
        self.say(Command::Drained(generation)).await;
    }

    async fn say(&self, command: Command) {
        // A pool that has ended needs no commands.
        let _ = self.0.send(command).await;
    }
}

struct Worker {
    slot: u32,
    started: Instant,
    pid: u32,
    stop: Option<oneshot::Sender<Instant>>,
}

struct Actor {
    number: u64,
    app: Arc<App>,
    ground: Arc<Ground>,
    counters: Arc<Counters>,
    proxy: watch::Receiver<u64>,
    slots: Slots,
    workers: HashMap<Generation, Worker>,
    tasks: JoinSet<()>,
    news_sender: mpsc::Sender<(Generation, News)>,
    trial: Option<mpsc::Sender<Trial>>,
    complaints: Complaints,
    view: watch::Sender<View>,
    published: Instant,
    shutdown: bool,
}

impl Actor {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>, mut news: mpsc::Receiver<(Generation, News)>) {
        loop {
            self.act();
            let figures = self.publish();
            if self.slots.purpose() == Purpose::Leave && self.slots.is_empty() {
                break;
            }
            let wake = self.slots.next_wake().into_iter().chain(figures).min();
            let alarm = async {
                match wake {
                    Some(at) => time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            // All cancel-safe.
            tokio::select! {
                Some((generation, news)) = news.recv() => self.heard(generation, news).await,
                command = commands.recv() => match command {
                    Some(command) => self.obey(command),
                    None => break,
                },
                Ok(()) = self.proxy.changed() => {}
                Some(ended) = self.tasks.join_next() => channel::log_panicked(ended),
                () = alarm => {}
            }
        }
        while self.tasks.join_next().await.is_some() {}
        if !self.shutdown {
            self.ground.board.remove_retired(self.number);
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Drained(generation) => self.slots.drained(generation),
            Command::Promote => {
                self.trial = None;
                self.slots.promote(Instant::now());
                // What changed while the pool was on its way to the board was not shown there.
                self.ground.board.publish(self.number, &self.view.borrow());
            }
            Command::Leave { shutdown } => {
                self.shutdown |= shutdown;
                let replaced = self.slots.leave(Instant::now());
                if !shutdown {
                    self.counters.count(RestartReason::Reload, replaced);
                }
            }
        }
    }

    fn act(&mut self) {
        let connected = *self.proxy.borrow_and_update() != 0;
        for action in self.slots.actions(Instant::now(), connected) {
            match action {
                Action::Start { slot } => self.start(slot),
                Action::Stop { generation, until } => {
                    if let Some(stop) = self.workers.get_mut(&generation).and_then(|worker| worker.stop.take()) {
                        // A task that has ended says so in its last news.
                        let _ = stop.send(until);
                    }
                }
            }
        }
    }

    fn start(&mut self, slot: u32) {
        let generation = self.counters.next_generation();
        let prefix = format!("{}-{}-{generation}", self.ground.instance, self.app.name);
        let endpoint = match launch::fresh_endpoint(&self.ground.runtime_dir, &prefix) {
            Ok(endpoint) => endpoint,
            Err(error) => {
                self.slots.started(slot, generation, String::new());
                self.ended(generation, slot, 0, &End::NotStarted(error.to_string()));
                return;
            }
        };
        self.slots.started(slot, generation, endpoint.to_string());
        let (stop, stopped) = oneshot::channel();
        self.workers.insert(generation, Worker { slot, started: Instant::now(), pid: 0, stop: Some(stop) });
        let job = Job {
            app: Arc::clone(&self.app),
            slot,
            generation,
            endpoint,
            program: self.ground.program.clone(),
            channel: self.ground.channel.clone(),
            link: Arc::clone(&self.ground.link),
            news: self.news_sender.clone(),
        };
        self.tasks.spawn(worker::run(job, stopped));
    }

    async fn heard(&mut self, generation: Generation, news: News) {
        let Some(worker) = self.workers.get_mut(&generation) else { return };
        let (slot, pid) = (worker.slot, worker.pid);
        let app = &*self.app.name;
        match news {
            News::Identified { pid } => {
                worker.pid = pid;
                self.slots.identified(generation, pid);
            }
            News::Ready => {
                let took = worker.started.elapsed();
                tracing::info!(app, worker = slot, pid, "worker ready");
                self.slots.ready(generation, Instant::now());
                self.complaints.forget();
                self.tell(Trial::Ready { app: Arc::clone(&self.app.name), slot, took }).await;
                if self.slots.is_complete() {
                    self.tell(Trial::Complete).await;
                }
            }
            News::Beat { busy, threads } => self.slots.beat(generation, busy, threads),
            News::Silent => {
                tracing::warn!(
                    app,
                    worker = slot,
                    pid,
                    "worker misses its heartbeats: it gets no request until it is heard again"
                );
                self.slots.silent(generation);
            }
            News::Condemned { returned } => {
                if self.slots.condemned(generation, Instant::now()) {
                    let why = if returned { "its thread was interrupted" } else { "its thread did not come back" };
                    tracing::warn!(
                        app,
                        worker = slot,
                        pid,
                        "a request timed out and {why}: the worker is being replaced"
                    );
                    self.counters.count(RestartReason::Timeout, 1);
                }
            }
            News::Ended(end) => {
                self.workers.remove(&generation);
                self.ended(generation, slot, pid, &end);
                if self.slots.purpose() == Purpose::Trial {
                    self.tell(Trial::Failed { app: Arc::clone(&self.app.name), slot, end }).await;
                }
            }
        }
    }

    fn ended(&mut self, generation: Generation, slot: u32, pid: u32, end: &End) {
        let now = Instant::now();
        let app = &*self.app.name;
        let leaving =
            self.slots.workers().iter().any(|worker| {
                worker.generation == generation && worker.phase == tidegate_contract::WorkerPhase::Draining
            });
        if let Some(reason) = self.slots.ended(generation, end, now) {
            self.counters.count(reason, 1);
        }
        if leaving && !matches!(end, End::ImportFailed { .. }) {
            tracing::info!(app, worker = slot, pid, "worker stopped: it {end}");
            return;
        }
        let next = match self.slots.start_time(slot) {
            Some(at) if at > now => format!("next try in {:.1} s", at.duration_since(now).as_secs_f64()),
            Some(_) => "next try now".to_owned(),
            None => "no further try".to_owned(),
        };
        match self.complaints.hear(end) {
            1 => tracing::error!(app, worker = slot, pid, traceback = end.traceback(), "worker {end}; {next}"),
            attempt => {
                tracing::error!(
                    app,
                    worker = slot,
                    pid,
                    attempt,
                    "worker failed with the same error as before; {next}"
                );
            }
        }
    }

    async fn tell(&self, news: Trial) {
        if let Some(trial) = &self.trial {
            // A reload that was given up drops this pool soon.
            let _ = trial.send(news).await;
        }
    }

    /// Publishes what has changed. Returns when figures that have changed may follow.
    fn publish(&mut self) -> Option<Instant> {
        let view = look(&self.slots);
        let (same, same_but_figures) = {
            let last = self.view.borrow();
            (*last == view, without_figures(&last) == without_figures(&view))
        };
        if same {
            return None;
        }
        let due = self.published + FIGURES;
        if same_but_figures && Instant::now() < due {
            return Some(due);
        }
        self.published = Instant::now();
        self.view.send_replace(view);
        self.ground.board.publish(self.number, &self.view.borrow());
        None
    }
}

fn look(slots: &Slots) -> View {
    View { phase: slots.phase(), detail: slots.failure().map(str::to_owned), workers: slots.workers() }
}

fn without_figures(view: &View) -> (AppPhase, Option<&str>, Vec<WorkerState>) {
    let plain = |worker: &WorkerState| WorkerState { threads_busy: 0, threads: 0, ..worker.clone() };
    (view.phase, view.detail.as_deref(), view.workers.iter().map(plain).collect())
}
