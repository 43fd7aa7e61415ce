//! What every connection and request of the proxy shares.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use tidegate_site::Site;
use tokio::sync::{Notify, Semaphore};

use crate::access::Access;
use crate::buffer::Buffers;
use crate::compress::Compressors;
use crate::listener::addresses::Addresses;
use crate::listener::places::Places;
use crate::metrics::Metrics;
use crate::policy::Passwords;
use crate::request::route::Router;
use crate::static_files::StaticRoutes;
use crate::traffic::{Limits, Traffic};
use crate::upstream::Apps;

/// The parts that a reload replaces in one step.
#[derive(Debug)]
pub(crate) struct Live {
    /// The checked site file.
    pub(crate) site: Site,
    /// Hosts and prefixes, compiled.
    pub(crate) router: Router,
    /// The routes to files, and what is known of them.
    pub(crate) files: StaticRoutes,
    /// What the site's limits count.
    pub(crate) limits: Limits,
}

impl Live {
    /// A site, ready to be served after the one before.
    pub(crate) fn new(site: Site, before: Option<&Self>, metrics: &Metrics) -> Self {
        Self {
            router: Router::new(&site),
            files: StaticRoutes::new(&site, &metrics.files),
            limits: Limits::new(&site, before.map(|before| &before.limits), metrics),
            site,
        }
    }
}

/// What lives as long as the proxy.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Configuration in force.
    pub(crate) live: ArcSwap<Live>,
    /// The apps and their workers.
    pub(crate) apps: Apps,
    /// Who is turned away.
    pub(crate) traffic: Traffic,
    /// Who knows whether a password is right.
    pub(crate) passwords: Passwords,
    /// Counters.
    pub(crate) metrics: Arc<Metrics>,
    /// Bodies that wait.
    pub(crate) buffers: Arc<Buffers>,
    /// Responses that are compressed.
    pub(crate) compressors: Arc<Compressors>,
    /// The access log.
    pub(crate) access: Access,
    /// `limits.connections`.
    pub(crate) places: Arc<Places>,
    /// `limits.connections_per_address`.
    pub(crate) addresses: Addresses,
    /// Turns of TLS handshakes.
    pub(crate) handshakes: Arc<Semaphore>,
    /// Connections and streams being served.
    pub(crate) tasks: Tasks,
}

/// Counts running tasks, so that shutdown can wait for them. Every request begins and ends some, so
/// nobody is told but of the last one's end.
#[derive(Debug, Clone)]
pub(crate) struct Tasks(Arc<Running>);

#[derive(Debug)]
struct Running {
    count: AtomicUsize,
    none: Notify,
}

/// A running task; its drop is the task's end.
#[derive(Debug)]
pub(crate) struct Task(Tasks);

impl Tasks {
    /// No task yet.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Running { count: AtomicUsize::new(0), none: Notify::new() }))
    }

    /// Counts a task until the returned value is dropped.
    pub(crate) fn begin(&self) -> Task {
        self.0.count.fetch_add(1, Ordering::Relaxed);
        Task(self.clone())
    }

    /// Resolves when no task runs.
    pub(crate) async fn ended(&self) {
        loop {
            let mut none = pin!(self.0.none.notified());
            // Before the look, so that no end falls between the two.
            none.as_mut().enable();
            if self.count() == 0 {
                return;
            }
            none.await;
        }
    }

    /// How many tasks run.
    pub(crate) fn count(&self) -> usize {
        self.0.count.load(Ordering::Acquire)
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        let running = &self.0.0;
        if running.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            running.none.notify_waiters();
        }
    }
}
