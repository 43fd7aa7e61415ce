//! One app's pool as a task: starts and stops worker processes as `slots` decides, counts and
//! logs what happens to them, and puts the app's state on the board. Started by `server` and
//! `reload`; one after each reload. Never speaks to the proxy itself.

mod actor;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tidegate_contract::Generation;
use tidegate_site::App;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use self::actor::{Actor, look};
use crate::board::{Board, Entry, View};
use crate::channel::Channel;
use crate::complaint::Complaints;
use crate::end::End;
use crate::inspect::Inspections;
use crate::launch::WorkerProgram;
use crate::ledger::{Counters, Ledger};
use crate::proxy::ProxyLink;
use crate::slots::{Plan, Purpose, Slots};

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
    pub(crate) inspections: Inspections,
    pub(crate) pools_started: AtomicU64,
}

#[derive(Debug)]
enum Command {
    Drained(Generation),
    Promote,
    Pause { ended: oneshot::Sender<()> },
    Resume,
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
        let slots = Slots::new(Plan::of(&app), purpose, seed, Instant::now());
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
            paused: Vec::new(),
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

    /// Everything in it drains and nothing starts until [`Self::resume`]; requests wait. Returns when
    /// its last process has ended. A pool that leaves already is only waited for.
    pub(crate) async fn pause(&self) {
        let (ended, wait) = oneshot::channel();
        self.say(Command::Pause { ended }).await;
        // A pool that has ended drops the command.
        let _ = wait.await;
    }

    /// Ends a pause. Never waits: for use in a drop.
    pub(crate) fn resume(&self) {
        match self.0.try_send(Command::Resume) {
            Ok(()) => {}
            // As when everything stops during a reload.
            Err(TrySendError::Closed(_)) => tracing::debug!("a paused pool has ended"),
            Err(TrySendError::Full(_)) => tracing::error!("a paused pool could not be resumed: it is far behind"),
        }
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
