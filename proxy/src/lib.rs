//! The Tidegate proxy: TLS, HTTP/1.1 and HTTP/2, static files, and dispatch to WSGI workers.
//!
//! # Layout
//!
//! - `listener`: sockets, accept, TLS handshake
//! - `session`: HTTP/1.1 and HTTP/2 become exchanges; the only user of pingora
//! - `request`: a request's story; the table from causes to statuses
//! - `policy`: the rules of hosts and routes at work
//! - `traffic`: who is turned away: maintenance, limits
//! - `static_files`: files below a directory
//! - `upstream`: the queue, the workers' slots, the pooled connections
//! - `buffer`: bodies that wait for a slow client or a busy app
//! - `reply`, `negotiate`, `compress`: what the proxy answers itself, and bodies in another coding
//! - `shared`, `header_end`: what all connections and requests have in common; where a header ends
//! - `control`, `reload`: what the app server says; configuration in force
//! - `metrics`, `access`: what operators see
//!
//! It never runs an app's code and never sees its environment.

mod access;
mod buffer;
mod compress;
mod control;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzz;
mod header_end;
mod listener;
mod metrics;
mod negotiate;
mod policy;
mod reload;
mod reply;
mod request;
mod session;
mod shared;
mod static_files;
mod traffic;
mod upstream;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use tidegate_host::{Progress, Signal};
use tidegate_site::Site;
use tokio::sync::{Semaphore, mpsc, watch};
use tracing::{info, warn};

use crate::access::Access;
use crate::buffer::Buffers;
use crate::compress::Compressors;
use crate::control::Control;
use crate::listener::addresses::Addresses;
use crate::listener::places::Places;
use crate::metrics::Metrics;
use crate::policy::Passwords;
use crate::reload::Reload;
use crate::shared::{Shared, Tasks};
use crate::traffic::{Maintenance, Traffic};
use crate::upstream::Apps;

/// Messages about drained workers on their way to the app server.
const DRAINED: usize = 1024;
/// Open files beside the clients' connections: workers' connections, static files, libraries.
const FILES_BESIDE_CLIENTS: u64 = 2048;
/// Time for the last log lines and metrics connections after everything else ended.
const FAREWELL: Duration = Duration::from_secs(2);

/// How the proxy is run.
#[derive(Debug)]
pub struct Options {
    /// The site file.
    pub file: PathBuf,
    /// Whether the end of standard input means stop.
    pub stop_on_stdin_end: bool,
}

/// Binds everything the site asks for and serves until told to stop; returns when every request
/// is answered or the drain time is over.
pub async fn run(site: Site, options: Options) -> anyhow::Result<()> {
    match tidegate_host::raise_file_limit() {
        Ok(limit) if limit < site.limits.connections as u64 + FILES_BESIDE_CLIENTS => {
            warn!(
                limit,
                connections = site.limits.connections,
                "the limit of open files is low for limits.connections"
            );
        }
        Ok(_) => {}
        Err(error) => warn!(%error, "could not raise the limit of open files"),
    }
    let metrics = Metrics::new(env!("CARGO_PKG_VERSION"));
    let (drained_sender, drained) = mpsc::channel(DRAINED);
    let reload = Arc::new(Reload::new(Arc::clone(&metrics)));
    let prepared = reload.plan(site.clone(), None)?;
    let endpoint = site.control_endpoint();
    let file = site.file.clone();
    let apps = Apps::new(Arc::clone(&metrics), drained_sender);
    buffer::clear(&site.limits.buffer.directory);
    let shared = Arc::new(Shared {
        apps,
        passwords: Passwords::new(metrics.passwords()).context("no random numbers")?,
        buffers: Buffers::new(metrics.buffers()),
        compressors: Compressors::new(&metrics),
        traffic: Traffic { maintenance: Maintenance::load(&site) },
        access: Access::start(site.log.access.as_ref(), &metrics)
            .context("cannot open the access log (key log.access)")?,
        places: Places::new(site.limits.connections),
        addresses: Addresses::default(),
        live: ArcSwap::new(prepared.live()),
        metrics: Arc::clone(&metrics),
        handshakes: Arc::new(Semaphore::new(listener::connection::HANDSHAKES)),
        tasks: Tasks::new(),
    });
    reload.commit(prepared, &shared);

    tidegate_host::tell_service_manager(Progress::Serving);
    let (reload_sender, reload_wanted) = mpsc::channel(1);
    let control =
        Control { endpoint, file, shared: Arc::clone(&shared), reload: Arc::clone(&reload), drained, reload_wanted };
    // The control channel outlives the drain: requests under way may still need their slots.
    let (stop_control, control_shutdown) = watch::channel(false);
    let watching =
        tokio::spawn(listener::watch::run(Arc::clone(&reload), Arc::clone(&shared), control_shutdown.clone()));
    let control = tokio::spawn(control.run(control_shutdown));

    wait_for_stop(options.stop_on_stdin_end, reload_sender).await?;

    tidegate_host::tell_service_manager(Progress::Stopping);
    let limit = shared.live.load().site.limits.drain_timeout;
    info!(tasks = shared.tasks.count(), "stopping: finishing what is under way");
    reload.stop_listeners().await;
    if tokio::time::timeout(limit, shared.tasks.ended()).await.is_err() {
        warn!(
            tasks = shared.tasks.count(),
            seconds = limit.as_secs(),
            "drain time is over: cutting off what still runs"
        );
    }
    stop_control.send_replace(true);
    let farewell = async {
        let _ = tokio::join!(control, watching);
        reload.stop_figures().await;
    };
    let _ = tokio::time::timeout(FAREWELL, farewell).await;
    shared.access.close();
    info!("stopped");
    Ok(())
}

/// Waits for a signal or the end of standard input; passes on requests for a reload.
async fn wait_for_stop(stop_on_stdin_end: bool, reload: mpsc::Sender<()>) -> anyhow::Result<()> {
    let mut signals = tidegate_host::Signals::install().context("cannot listen for signals")?;
    let stdin_end = async {
        if stop_on_stdin_end {
            tidegate_host::stdin_end().await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    tokio::pin!(stdin_end);
    loop {
        // Both are cancel-safe: signals queue up, the end of input stays.
        tokio::select! {
            signal = signals.next() => match signal {
                Signal::Stop => return Ok(()),
                // One that is already waiting will do.
                Signal::Reload => drop(reload.try_send(())),
            },
            () = &mut stdin_end => return Ok(()),
        }
    }
}
