//! What every connection and request of the proxy shares.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tidegate_site::Site;
use tokio::sync::{Semaphore, watch};

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

/// Counts running tasks, so that shutdown can wait for them.
#[derive(Debug, Clone)]
pub(crate) struct Tasks(Arc<watch::Sender<usize>>);

/// A running task; its drop is the task's end.
#[derive(Debug)]
pub(crate) struct Task(Tasks);

impl Tasks {
    /// No task yet.
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }

    /// Counts a task until the returned value is dropped.
    pub(crate) fn begin(&self) -> Task {
        self.0.send_modify(|count| *count += 1);
        Task(self.clone())
    }

    /// Resolves when no task runs.
    pub(crate) async fn ended(&self) {
        // The sender lives in `self`, so the wait cannot fail.
        let _ = self.0.subscribe().wait_for(|count| *count == 0).await;
    }

    /// How many tasks run.
    pub(crate) fn count(&self) -> usize {
        *self.0.borrow()
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}
