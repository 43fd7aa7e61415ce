//! The running app server: opens the channels, starts the pools, answers stop and reload, and
//! ends in order. Called by `main` through [`run`]; holds no connection of its own.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use thiserror::Error;
use tidegate_host::{Audience, Endpoint, Event, LocalListener, Signal};
use tidegate_site::Site;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time;

use crate::board::Board;
use crate::channel::Channel;
use crate::control;
use crate::inspect::Inspections;
use crate::launch::{self, WorkerProgram};
use crate::ledger::Ledger;
use crate::maintenance::Maintenance;
use crate::pool::{Ground, Pool, PoolRemote};
use crate::reload::{self, Prepared, Progress, ReloadError};

/// For the proxy to report that it switched to what it was told. A busy machine may take seconds.
pub(crate) const SWITCH_TIMEOUT: Duration = Duration::from_secs(10);

/// Why the app server could not run.
#[derive(Debug, Error)]
pub enum RunError {
    /// The control endpoint is taken.
    #[error("another tidegate-appserver runs for {} (it listens on {endpoint})", .file.display())]
    AlreadyRuns {
        /// The site file.
        file: PathBuf,
        /// The control endpoint.
        endpoint: Endpoint,
    },
    /// An endpoint cannot be opened.
    #[error("failed to listen on {endpoint}: {source}")]
    Listen {
        /// Which.
        endpoint: Endpoint,
        /// Why.
        source: io::Error,
    },
    /// The system has no random numbers.
    #[error("no random numbers: {0}")]
    Random(#[from] getrandom::Error),
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) file: PathBuf,
    pub(crate) ground: Arc<Ground>,
    pub(crate) maintenance: Maintenance,
    running: Mutex<Running>,
    reloading: tokio::sync::Mutex<()>,
    stopping: watch::Sender<bool>,
    requests: mpsc::Sender<Signal>,
}

#[derive(Debug)]
struct Running {
    site: Arc<Site>,
    /// Those of the site, and those before it that still drain.
    pools: Vec<Pool>,
}

/// Serves `site` until `signals` brings [`Signal::Stop`] or ends, then drains and returns.
pub async fn run(site: Site, program: WorkerProgram, mut signals: mpsc::Receiver<Signal>) -> Result<(), RunError> {
    let site = Arc::new(site);
    let control_endpoint = site.control_endpoint();
    let control = LocalListener::bind(&control_endpoint, Audience::Commands).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => {
            RunError::AlreadyRuns { file: site.file.clone(), endpoint: control_endpoint.clone() }
        }
        _ => RunError::Listen { endpoint: control_endpoint.clone(), source },
    })?;
    sweep(&site, &control_endpoint);
    let endpoint = launch::fresh_endpoint(&site.runtime_dir, &format!("{}-channel", site.instance))?;
    let workers = LocalListener::bind(&endpoint, Audience::Workers)
        .map_err(|source| RunError::Listen { endpoint: endpoint.clone(), source })?;
    let ground = Arc::new(Ground {
        program,
        channel: Channel::new(endpoint),
        runtime_dir: site.runtime_dir.clone(),
        instance: site.instance.clone(),
        board: Board::new(),
        link: Arc::default(),
        ledger: Ledger::default(),
        inspections: Inspections::default(),
        pools_started: 0.into(),
    });
    // One waiting request is enough: reloads do not overlap.
    let (requests, mut requested) = mpsc::channel(1);
    let server = Arc::new(Server {
        file: site.file.clone(),
        ground: Arc::clone(&ground),
        maintenance: Maintenance::load(&site),
        running: Mutex::new(Running { site: Arc::clone(&site), pools: Vec::new() }),
        reloading: tokio::sync::Mutex::default(),
        stopping: watch::Sender::new(false),
        requests,
    });
    let mut services = JoinSet::new();
    services.spawn(ground.channel.clone().serve(workers));
    server.start_pools(&site).await;
    services.spawn(control::serve(Arc::clone(&server), control));
    tracing::info!(site = %site.file.display(), control = %control_endpoint, "app server started");
    tidegate_host::tell_service_manager(tidegate_host::Progress::Serving);

    let mut reloads = JoinSet::new();
    loop {
        // All cancel-safe.
        let signal = tokio::select! {
            signal = signals.recv() => signal,
            Some(signal) = requested.recv() => Some(signal),
            Some(_) = reloads.join_next() => continue,
        };
        match signal {
            Some(Signal::Reload) => {
                let server = Arc::clone(&server);
                reloads.spawn(async move {
                    // The reload has logged how it ended.
                    let _ = server.reload(Progress::to_log()).await;
                });
            }
            Some(Signal::Stop) | None => break,
        }
    }
    tidegate_host::tell_service_manager(tidegate_host::Progress::Stopping);
    server.stop(&mut signals).await;
    while reloads.join_next().await.is_some() {}
    services.shutdown().await;
    tracing::info!("app server stopped");
    Ok(())
}

/// Removes what an app server of this site left behind that was killed. Its workers have gone
/// with it, and holding the control endpoint proves that there is no other.
fn sweep(site: &Site, control: &Endpoint) {
    let Endpoint::Unix(control) = control else { return };
    let ours = format!("{}-", site.instance);
    for entry in std::fs::read_dir(&site.runtime_dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(&ours) && name.ends_with(".sock") && entry.path() != *control {
            // What cannot be removed is in nobody's way: every name is used once.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

impl Server {
    /// The site that runs.
    pub(crate) fn site(&self) -> Arc<Site> {
        Arc::clone(&self.running.lock().site)
    }

    /// Every pool that may have workers of this app.
    pub(crate) fn pools_of(&self, app: &str) -> Vec<PoolRemote> {
        self.running.lock().pools.iter().filter(|pool| &*pool.app == app).map(Pool::remote).collect()
    }

    /// Starts a reload unless one is waiting to start already.
    pub(crate) fn ask_for_reload(&self) {
        let _ = self.requests.try_send(Signal::Reload);
    }

    /// Sees to it that a proxy that has just connected serves by the site that runs here.
    pub(crate) fn compare_configuration(self: &Arc<Self>, session: u64) {
        let server = Arc::clone(self);
        let mut stopping = self.stopping.subscribe();
        tokio::spawn(async move {
            let compare = async {
                // A reload that runs has begun with another session, or with none, and cannot commit to
                // this one; the site that runs is known when it has ended.
                let _no_reload = server.reloading.lock().await;
                let site = Arc::clone(&server.running.lock().site);
                reload::catch_up(&site, session, &server.ground).await
            };
            tokio::select! {
                _ = stopping.wait_for(|stopping| *stopping) => {}
                result = compare => match result {
                    Ok(false) => {}
                    Ok(true) => tracing::warn!("the proxy had missed a reload and was brought to the same site file"),
                    Err(error) => tracing::error!(
                        "the proxy serves by another version of the site file than the app server, and could not be \
                         brought to the same one ({error}): run `tidegate reload`"
                    ),
                },
            }
        });
    }

    /// Reloads the site file. On an error nothing has changed.
    pub(crate) async fn reload(&self, progress: Progress) -> Result<(), ReloadError> {
        let result = self.try_reload(&progress).await;
        match &result {
            Ok(()) => {
                tidegate_host::report_event(Event::Reloaded, "the site file, certificates and apps were loaded anew")
            }
            // Neither says anything of the configuration.
            Err(ReloadError::Stopping | ReloadError::Running) => {}
            Err(error) => {
                tidegate_host::report_event(Event::ReloadRefused, &format!("reload: nothing was changed: {error}"));
            }
        }
        if let Err(error) = &result {
            match error.to_string() {
                text if matches!(error, ReloadError::Stopping) => tracing::info!("reload: nothing was changed: {text}"),
                // A bad file has a line for each thing that is wrong with it.
                text if text.contains('\n') => tracing::error!(details = text, "reload: nothing was changed"),
                text => tracing::error!("reload: nothing was changed: {text}"),
            }
        }
        result
    }

    async fn try_reload(&self, progress: &Progress) -> Result<(), ReloadError> {
        let one_at_a_time = self.reloading.try_lock().map_err(|_| ReloadError::Running)?;
        let mut stopping = self.stopping.subscribe();
        let (site, old) = {
            let running = self.running.lock();
            let old = running.pools.iter().map(|pool| (Arc::clone(&pool.app), pool.remote())).collect();
            (Arc::clone(&running.site), old)
        };
        let preparing = reload::prepare(&site, old, &self.ground, progress, self.stopping.subscribe());
        let mut prepared = tokio::select! {
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => return Err(ReloadError::Stopping),
            prepared = preparing => prepared?,
        };
        let mut reports = self.ground.link.watch_reports();
        let (new, old) = match self.commit(&mut prepared) {
            Ok(pools) => pools,
            Err(error) => {
                prepared.undo().await;
                return Err(error);
            }
        };
        for pool in new {
            pool.promote().await;
        }
        for pool in old {
            pool.leave(false).await;
        }
        let digest = self.running.lock().site.digest.clone();
        drop(one_at_a_time);
        // Whoever asked may rely on the new configuration when told that it is done.
        let switched = async {
            // Renewed certificates are reported in between.
            while reports.changed().await.is_ok() {
                if self.ground.link.report().is_none_or(|report| report.digest == digest) {
                    break;
                }
            }
        };
        if self.ground.link.current() != 0 && time::timeout(SWITCH_TIMEOUT, switched).await.is_err() {
            tracing::warn!("the proxy has not reported that it switched to the new configuration");
        }
        progress.say("committed; the workers before it drain".to_owned());
        Ok(())
    }

    /// Returns the pools that serve from now on, and those before them.
    fn commit(&self, prepared: &mut Prepared) -> Result<(Vec<PoolRemote>, Vec<PoolRemote>), ReloadError> {
        let mut running = self.running.lock();
        // Under the lock that `stop` takes: either it finds the new pools, or this sees it.
        if *self.stopping.borrow() {
            return Err(ReloadError::Stopping);
        }
        let (site, pools) = prepared.commit(&self.ground)?;
        let old = running.pools.iter().map(Pool::remote).collect();
        let new = pools.iter().map(Pool::remote).collect();
        running.pools.retain(|pool| !pool.is_finished());
        running.pools.extend(pools);
        if let Err(error) = tidegate_log::init(crate::PROCESS, &site.log) {
            tracing::error!(%error, "cannot open the log file (key log.to): its lines are lost until it can be opened");
        }
        running.site = site;
        Ok((new, old))
    }

    async fn start_pools(&self, site: &Site) {
        let start = |app: &tidegate_site::App| Pool::start(Arc::new(app.clone()), Arc::clone(&self.ground), None);
        let pools: Vec<_> = site.apps.iter().map(start).collect();
        let remotes: Vec<_> = pools.iter().map(Pool::remote).collect();
        let entries = pools.iter().map(Pool::entry).collect();
        let Ok(()) = self.ground.board.replace(entries, |_| Ok::<_, std::convert::Infallible>(()));
        self.running.lock().pools = pools;
        for pool in remotes {
            pool.promote().await;
        }
    }

    /// Drains and ends every worker; at once if another stop comes.
    async fn stop(&self, signals: &mut mpsc::Receiver<Signal>) {
        tracing::info!("stopping: waiting for running requests");
        let mut pools = {
            let mut running = self.running.lock();
            self.stopping.send_replace(true);
            // Taking them would hide them from the proxy's `Drained`.
            running.pools.retain(|pool| !pool.is_finished());
            running.pools.iter().map(|pool| (pool.remote(), pool.ended())).collect::<Vec<_>>()
        };
        for (pool, _) in &pools {
            pool.leave(true).await;
        }
        let all = async {
            for (_, ended) in &mut pools {
                ended.wait().await;
            }
        };
        let again = async {
            while let Some(signal) = signals.recv().await {
                if signal == Signal::Stop {
                    return;
                }
            }
            std::future::pending().await
        };
        tokio::select! {
            () = all => {}
            () = again => tracing::warn!("asked to stop again: killing the workers"),
        }
        self.running.lock().pools.clear();
    }
}
