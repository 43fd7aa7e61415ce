//! A reload from request to commit: check the file, let the proxy prepare, start a whole new
//! generation of workers, then switch both sides at once. Called by `server`; any failure
//! before the commit changes nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use thiserror::Error;
use tidegate_site::Site;
use tokio::sync::mpsc;
use tokio::task;
use tokio::time;

use crate::end::End;
use crate::pool::{Ground, Pool, Trial};
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
}

impl Prepared {
    /// Puts the new pools in the place of all others, in one step with the proxy.
    pub(crate) fn commit(mut self, ground: &Ground) -> Result<(Arc<Site>, Vec<Pool>), ReloadError> {
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
        Ok((self.site, self.pools))
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

static RELOADS: AtomicU64 = AtomicU64::new(1);

/// Everything before the commit. Dropping the future or its result undoes it.
pub(crate) async fn prepare(
    running: &Site,
    ground: &Arc<Ground>,
    progress: &Progress,
) -> Result<Prepared, ReloadError> {
    let site = load(running).await?;
    progress.say("configuration checked".to_owned());
    let link = Arc::clone(&ground.link);
    let mut proxy = Preparation { session: link.current(), link, reload: RELOADS.fetch_add(1, Ordering::Relaxed) };
    if proxy.session == 0 {
        progress.say("no proxy connected".to_owned());
    } else {
        prepare_proxy(&mut proxy, site.digest.clone()).await?;
        progress.say("proxy prepared".to_owned());
    }
    let pools = start(&site, ground, progress).await?;
    Ok(Prepared { site, pools, proxy })
}

async fn load(running: &Site) -> Result<Arc<Site>, ReloadError> {
    let file = running.file.clone();
    let work = move || {
        let site = tidegate_site::load(&file).map_err(|error| ReloadError::Config(error.to_string()))?;
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

async fn start(site: &Site, ground: &Arc<Ground>, progress: &Progress) -> Result<Vec<Pool>, ReloadError> {
    let (sender, mut news) = mpsc::channel(TRIAL_NEWS);
    let start = |app: &tidegate_site::App| Pool::start(Arc::new(app.clone()), Arc::clone(ground), Some(sender.clone()));
    let pools: Vec<_> = site.apps.iter().map(start).collect();
    let mut incomplete = pools.len();
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
    Ok(pools)
}
