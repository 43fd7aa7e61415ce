//! A reload from request to commit: check the file, let the proxy prepare, start a whole new
//! generation of workers, then switch both sides at once. Called by `server`; any failure
//! before the commit changes nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use thiserror::Error;
use tidegate_contract::ProxyReport;
use tidegate_site::{App, Replace, Site};
use tokio::sync::{mpsc, watch};
use tokio::task;
use tokio::time;

use crate::end::End;
use crate::pool::{Ground, Pool, PoolRemote, Trial};
use crate::proxy::ProxyLink;
use crate::python;

/// For the proxy to load the file and its certificates.
const PREPARE_TIMEOUT: Duration = Duration::from_secs(30);
const TRIAL_NEWS: usize = 256;

/// Why a reload changed nothing.
#[derive(Debug, Error)]
pub(crate) enum ReloadError {
    #[error("another reload is running")]
    Running,
    #[error("the app server is stopping")]
    Stopping,
    #[error("{0}")]
    Config(String),
    #[error("app {app}: {error}")]
    Python { app: Arc<str>, error: python::PythonError },
    #[error("the proxy cannot load it: {0}")]
    Proxy(String),
    #[error("the proxy's connection broke during the reload")]
    ProxyGone,
    #[error("the proxy did not answer within {} s", PREPARE_TIMEOUT.as_secs())]
    ProxySilent,
    #[error("app {app}: worker {slot} {end}")]
    Worker { app: Arc<str>, slot: u32, end: End },
}

impl ReloadError {
    /// For a command; the log has the traceback already.
    pub(crate) fn in_full(&self) -> String {
        match self {
            Self::Worker { end: End::ImportFailed { traceback, .. }, .. } => {
                format!("{self}\n{}", traceback.trim_end())
            }
            _ => self.to_string(),
        }
    }
}

/// Where a reload says how it goes: the log, and the command that asked for it.
#[derive(Debug)]
pub(crate) struct Progress(Option<mpsc::Sender<String>>);

impl Progress {
    pub(crate) const fn to(lines: mpsc::Sender<String>) -> Self {
        Self(Some(lines))
    }

    pub(crate) const fn to_log() -> Self {
        Self(None)
    }

    pub(crate) fn say(&self, text: String) {
        tracing::info!("reload: {text}");
        if let Some(lines) = &self.0 {
            // A command that is this far behind misses a line; nothing waits for it.
            let _ = lines.try_send(text);
        }
    }
}

/// A new generation that is ready, and a proxy that has prepared for it.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) site: Arc<Site>,
    pub(crate) pools: Vec<Pool>,
    proxy: Preparation,
    paused: Paused,
}

impl Prepared {
    /// Puts the new pools in the place of all others, in one step with the proxy.
    pub(crate) fn commit(&mut self, ground: &Ground) -> Result<(Arc<Site>, Vec<Pool>), ReloadError> {
        let link = &self.proxy.link;
        if link.current() != self.proxy.session {
            return Err(ReloadError::ProxyGone);
        }
        let entries = self.pools.iter().map(Pool::entry).collect();
        ground.board.replace(entries, |state| match self.proxy.session {
            0 => Ok(()),
            session => link.commit(session, self.proxy.reload, state.clone()).map_err(|_| ReloadError::ProxyGone),
        })?;
        self.proxy.session = 0;
        // They leave now.
        self.paused.pools.clear();
        Ok((Arc::clone(&self.site), std::mem::take(&mut self.pools)))
    }

    /// Takes everything back. Dropping does so too, but then an app that cannot run twice may be
    /// started again before its trial has ended.
    pub(crate) async fn undo(self) {
        if !self.paused.pools.is_empty() {
            end(&self.pools).await;
        }
    }
}

/// Takes a prepared configuration back from the proxy unless it is committed.
#[derive(Debug)]
struct Preparation {
    link: Arc<ProxyLink>,
    /// 0: there is nothing to take back.
    session: u64,
    reload: u64,
}

impl Drop for Preparation {
    fn drop(&mut self) {
        if self.session != 0 {
            self.link.abort(self.session, self.reload);
        }
    }
}

/// Pools that made way for a trial; they go on when this is dropped, unless everything stops.
#[derive(Debug)]
struct Paused {
    pools: Vec<PoolRemote>,
    stopping: watch::Receiver<bool>,
}

impl Drop for Paused {
    fn drop(&mut self) {
        if !*self.stopping.borrow() {
            self.pools.iter().for_each(PoolRemote::resume);
        }
    }
}

/// The pools that a reload is to replace.
pub(crate) type Old = Vec<(Arc<str>, PoolRemote)>;

static RELOADS: AtomicU64 = AtomicU64::new(1);

/// Everything before the commit. Dropping the future or its result undoes it.
pub(crate) async fn prepare(
    running: &Site,
    old: Old,
    ground: &Arc<Ground>,
    progress: &Progress,
    stopping: watch::Receiver<bool>,
) -> Result<Prepared, ReloadError> {
    let site = load(running).await?;
    progress.say("configuration checked".to_owned());
    if let Some(warning) = tidegate_host::beyond_stop_limit("drain_timeout of an app", site.apps_drain()) {
        tracing::warn!("{warning}");
        progress.say(format!("warning: {warning}"));
    }
    let link = Arc::clone(&ground.link);
    let mut proxy = Preparation { session: link.current(), link, reload: RELOADS.fetch_add(1, Ordering::Relaxed) };
    if proxy.session == 0 {
        progress.say("no proxy connected".to_owned());
    } else {
        prepare_proxy(&mut proxy, site.digest.clone()).await?;
        progress.say("proxy prepared".to_owned());
    }
    // Those that run beside what they replace come first: when they fail, nothing was stopped.
    let stops_first = |app: &App| {
        let before = running.app(&app.name).map(|app| app.replace);
        before.is_some() && (app.replace == Replace::StopFirst || before == Some(Replace::StopFirst))
    };
    let (second, first): (Vec<&App>, Vec<&App>) = site.apps.iter().partition(|app| stops_first(app));
    let mut pools = Vec::new();
    start(&first, &mut pools, ground, progress).await?;
    let mut paused = Paused { pools: Vec::new(), stopping };
    if !second.is_empty() {
        pause(&second, old, &mut paused, progress).await;
        if let Err(error) = start(&second, &mut pools, ground, progress).await {
            end(&pools).await;
            return Err(error);
        }
    }
    // The board shows apps in the site's order.
    pools.sort_by_key(|pool| site.apps.iter().position(|app| app.name == pool.app));
    Ok(Prepared { site, pools, proxy, paused })
}

/// Stops the workers of these apps; they start again when `paused` is dropped.
async fn pause(apps: &[&App], old: Old, paused: &mut Paused, progress: &Progress) {
    for app in apps {
        progress.say(format!("app {}: its workers stop before new ones start", app.name));
    }
    let ours = old.into_iter().filter(|(name, _)| apps.iter().any(|app| app.name == *name));
    paused.pools.extend(ours.map(|(_, pool)| pool));
    let mut stops = task::JoinSet::new();
    for pool in paused.pools.clone() {
        // Bounded by drain_timeout, after which workers are killed.
        stops.spawn(async move { pool.pause().await });
    }
    while stops.join_next().await.is_some() {}
}

/// Ends trials, and waits until their processes are gone.
async fn end(pools: &[Pool]) {
    for pool in pools {
        pool.remote().leave(true).await;
    }
    for pool in pools {
        pool.ended().wait().await;
    }
}

/// Brings a proxy that missed a commit, because its connection broke, to the site that runs. Returns
/// whether it had to be brought there. Called while no reload runs.
pub(crate) async fn catch_up(running: &Site, session: u64, ground: &Ground) -> Result<bool, ReloadError> {
    let link = Arc::clone(&ground.link);
    let is_current = |report: &ProxyReport| report.digest.is_empty() || report.digest == running.digest;
    if link.current() != session || link.report().as_ref().is_none_or(is_current) {
        return Ok(false);
    }
    let mut proxy = Preparation { session, link, reload: RELOADS.fetch_add(1, Ordering::Relaxed) };
    prepare_proxy(&mut proxy, running.digest.clone()).await?;
    ground
        .board
        .announce(|state| proxy.link.commit(session, proxy.reload, state.clone()))
        .map_err(|_| ReloadError::ProxyGone)?;
    proxy.session = 0;
    Ok(true)
}

async fn load(running: &Site) -> Result<Arc<Site>, ReloadError> {
    let file = running.file.clone();
    let work = move || {
        let site = tidegate_site::load_as(&file, tidegate_site::Reader::AppServer)
            .map_err(|error| ReloadError::Config(error.to_string()))?;
        for app in &site.apps {
            python::find(app).map_err(|error| ReloadError::Python { app: Arc::clone(&app.name), error })?;
        }
        Ok(site)
    };
    let site = match task::spawn_blocking(work).await {
        Ok(result) => result?,
        Err(error) => return Err(ReloadError::Config(error.to_string())),
    };
    if site.runtime_dir != running.runtime_dir {
        tracing::warn!("reload: another runtime_dir takes effect when the app server is started again");
    }
    Ok(Arc::new(site))
}

async fn prepare_proxy(proxy: &mut Preparation, digest: String) -> Result<(), ReloadError> {
    let answer = proxy.link.prepare(proxy.session, proxy.reload, digest).map_err(|_| ReloadError::ProxyGone)?;
    match time::timeout(PREPARE_TIMEOUT, answer).await {
        Ok(Ok(None)) => Ok(()),
        Ok(Ok(Some(error))) => Err(ReloadError::Proxy(error)),
        Ok(Err(_)) => Err(ReloadError::ProxyGone),
        Err(_) => Err(ReloadError::ProxySilent),
    }
}

/// Starts trials of these apps, all at once, and waits until each is complete.
async fn start(
    apps: &[&App],
    pools: &mut Vec<Pool>,
    ground: &Arc<Ground>,
    progress: &Progress,
) -> Result<(), ReloadError> {
    let (sender, mut news) = mpsc::channel(TRIAL_NEWS);
    let start = |app: &&App| Pool::start(Arc::new((*app).clone()), Arc::clone(ground), Some(sender.clone()));
    pools.extend(apps.iter().map(start));
    let mut incomplete = apps.len();
    // Bounded by start_timeout: every worker becomes ready or fails.
    while incomplete > 0 {
        match news.recv().await {
            Some(Trial::Ready { app, slot, took }) => {
                progress.say(format!("app {app}: worker {slot} ready ({:.1} s)", took.as_secs_f64()));
            }
            Some(Trial::Complete) => incomplete -= 1,
            Some(Trial::Failed { app, slot, end }) => {
                return Err(ReloadError::Worker { app, slot, end });
            }
            // Unreachable while `sender` lives; ends the reload rather than hanging it.
            None => return Err(ReloadError::Stopping),
        }
    }
    Ok(())
}
