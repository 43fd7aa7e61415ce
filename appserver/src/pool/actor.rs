//! The task behind a pool: does what `slots` decides, tells the log and the board.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tidegate_contract::{AppPhase, Generation, Interruption, RestartReason, WorkerPhase, WorkerState};
use tidegate_host::Event;
use tidegate_site::App;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{self, Instant};

use super::{Command, Ground, Trial};
use crate::board::View;
use crate::channel;
use crate::complaint::Complaints;
use crate::end::End;
use crate::launch;
use crate::ledger::Counters;
use crate::slots::{Action, Purpose, Slots};
use crate::worker::{self, Job, News};

/// A worker that reaches its memory limit sooner leaks very much, or its limit is too low.
const SOON: Duration = Duration::from_secs(60);
/// Figures of heartbeats are published this often; everything else at once.
const FIGURES: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Worker {
    slot: u32,
    started: Instant,
    pid: u32,
    stop: Option<oneshot::Sender<Instant>>,
}

pub(super) struct Actor {
    pub(super) number: u64,
    pub(super) app: Arc<App>,
    pub(super) ground: Arc<Ground>,
    pub(super) counters: Arc<Counters>,
    pub(super) proxy: watch::Receiver<u64>,
    pub(super) slots: Slots,
    pub(super) workers: HashMap<Generation, Worker>,
    pub(super) tasks: JoinSet<()>,
    pub(super) news_sender: mpsc::Sender<(Generation, News)>,
    pub(super) trial: Option<mpsc::Sender<Trial>>,
    pub(super) complaints: Complaints,
    pub(super) view: watch::Sender<View>,
    pub(super) published: Instant,
    pub(super) shutdown: bool,
    /// Who waits for a paused pool's last process to end.
    pub(super) paused: Vec<oneshot::Sender<()>>,
}

impl Actor {
    pub(super) async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        mut news: mpsc::Receiver<(Generation, News)>,
    ) {
        loop {
            self.recycle();
            self.act();
            let figures = self.publish();
            if self.slots.purpose() == Purpose::Leave && self.slots.is_empty() {
                break;
            }
            if self.slots.is_empty() {
                // A reload that was given up meanwhile does not wait any more.
                for ended in self.paused.drain(..) {
                    let _ = ended.send(());
                }
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
            Command::Pause { ended } => {
                let replaced = self.slots.pause(Instant::now());
                self.counters.count(RestartReason::Reload, replaced);
                self.paused.push(ended);
            }
            Command::Resume => self.slots.resume(Instant::now()),
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

    /// Has a worker replaced that has done enough.
    fn recycle(&mut self) {
        let Some((generation, reason)) = self.slots.recycle(Instant::now()) else { return };
        self.counters.count(reason, 1);
        let figures = self.slots.workers().into_iter().find(|worker| worker.generation == generation);
        let (slot, pid, bytes) =
            figures.map(|worker| (worker.slot, worker.pid, worker.memory_bytes)).unwrap_or_default();
        tracing::info!(
            app = &*self.app.name,
            worker = slot,
            pid,
            reason = reason.label(),
            memory_bytes = bytes,
            "worker is being recycled"
        );
        let started = self.workers.get(&generation).map(|worker| worker.started);
        if reason == RestartReason::Memory && started.is_some_and(|started| started.elapsed() < SOON) {
            tracing::warn!(
                app = &*self.app.name,
                worker = slot,
                pid,
                "its memory reached recycle.memory soon after its start: the limit may be below what the app needs"
            );
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
        let desk = self.ground.inspections.desk(&self.app.name, generation);
        self.tasks.spawn(worker::run(job, desk, stopped));
    }

    async fn heard(&mut self, generation: Generation, news: News) {
        let Some(worker) = self.workers.get_mut(&generation) else { return };
        let (slot, pid) = (worker.slot, worker.pid);
        let app = &*self.app.name;
        match news {
            News::Identified { pid, python } => {
                worker.pid = pid;
                self.slots.identified(generation, pid, python);
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
            News::Beat(figures) => self.slots.beat(generation, figures),
            News::Silent => {
                tracing::warn!(
                    app,
                    worker = slot,
                    pid,
                    "worker misses its heartbeats: it gets no request until it is heard again"
                );
                self.slots.silent(generation);
            }
            News::Condemned { returned, because } => {
                if self.slots.condemned(generation, Instant::now()) {
                    let why = if returned { "its thread was interrupted" } else { "its thread did not come back" };
                    let (what, reason) = match because {
                        Interruption::Timeout => ("a request timed out", RestartReason::Timeout),
                        Interruption::ClientGone => ("a request's client has gone", RestartReason::ClientGone),
                    };
                    tracing::warn!(app, worker = slot, pid, "{what} and {why}: the worker is being replaced");
                    let text =
                        format!("app {app}, worker {slot}, process {pid}: {what} and {why}: it is being replaced");
                    tidegate_host::report_event(Event::WorkerReplaced, &text);
                    self.counters.count(reason, 1);
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
        let leaving = self
            .slots
            .workers()
            .iter()
            .any(|worker| worker.generation == generation && worker.phase == WorkerPhase::Draining);
        if let Some(reason) = self.slots.ended(generation, end, now) {
            self.counters.count(reason, 1);
        }
        if leaving && !matches!(end, End::ImportFailed { .. } | End::WarmUpFailed(_)) {
            tracing::info!(app, worker = slot, pid, "worker stopped: it {end}");
            return;
        }
        let next = match self.slots.start_time(slot) {
            Some(at) if at > now => format!("next try in {:.1} s", at.duration_since(now).as_secs_f64()),
            Some(_) => "next try now".to_owned(),
            None => "no further try".to_owned(),
        };
        let text = format!("app {app}, worker {slot}, process {pid}: it {end}; {next}");
        tidegate_host::report_event(Event::WorkerFailed, &text);
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

pub(super) fn look(slots: &Slots) -> View {
    View { phase: slots.phase(), detail: slots.failure().map(str::to_owned), workers: slots.workers() }
}

fn without_figures(view: &View) -> (AppPhase, Option<&str>, Vec<WorkerState>) {
    let plain = |worker: &WorkerState| WorkerState {
        threads_busy: 0,
        threads: 0,
        memory_bytes: 0,
        cpu_ms: 0,
        ..worker.clone()
    };
    (view.phase, view.detail.as_deref(), view.workers.iter().map(plain).collect())
}
