//! Every app the proxy dispatches to: made from the site, kept up to date by the app server's word,
//! forgotten when neither names it. Called by `control`, `reload` and the request's story.
//!
//! It never decides who gets a worker: that is each app's own.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::RwLock;
use tidegate_contract::{Cause, PoolState};
use tokio::sync::mpsc;

use super::Drained;
use super::app::{App, refuse};
use crate::metrics::{AppReadiness, Metrics};

/// Every app the proxy dispatches to.
#[derive(Debug)]
pub(crate) struct Apps {
    pub(super) apps: RwLock<HashMap<Arc<str>, Arc<App>>>,
    metrics: Arc<Metrics>,
    pub(super) drained: mpsc::Sender<Drained>,
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
                Some(known) => known.inner.lock().slots.queue.resize(app.queue.size),
                None => {
                    let metrics = self.metrics.app(&app.name);
                    let known = App::new(Arc::clone(&app.name), app.queue.size, metrics, self.drained.clone());
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
            app.inner.lock().slots.workers.slot_back(dispatch);
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
            app.inner.lock().slots.workers.repeat_drained();
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
