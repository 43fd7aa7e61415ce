//! The control channel to the app server: receives the pool's state, tells what has drained, and
//! takes part in reloads. Connects again whenever the channel breaks.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tidegate_contract::{FromServer, Lines, PROTOCOL, PoolState, ProxyReport, Role, ToServer};
use tidegate_host::{Endpoint, LocalStream};
use tokio::io::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{error, info, warn};

use crate::reload::{self, Prepared, Reload};
use crate::shared::Shared;
use crate::upstream::Drained;

/// Pause between two attempts to connect.
const RETRY: Duration = Duration::from_millis(100);
/// For one attempt to connect, and for the peer's hello.
const CONNECT: Duration = Duration::from_secs(2);
/// Without the app server for this long, its apps are gone.
const PATIENCE: Duration = Duration::from_secs(2);
/// Interval of the sweep over held slots and unreachable workers.
const SWEEP: Duration = Duration::from_secs(1);

/// The proxy's end of the control channel.
pub(crate) struct Control {
    /// What to connect to.
    pub(crate) endpoint: Endpoint,
    /// The site file, for reloads.
    pub(crate) file: PathBuf,
    /// Everything shared.
    pub(crate) shared: Arc<Shared>,
    /// How configuration is loaded and put in force.
    pub(crate) reload: Arc<Reload>,
    /// Workers on which nothing runs any more.
    pub(crate) drained: mpsc::Receiver<Drained>,
    /// Requests for a reload that came to this process (SIGHUP).
    pub(crate) reload_wanted: mpsc::Receiver<()>,
}

/// Why a connection to the app server ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("the app server closed the control channel")]
    Closed,
    #[error("{0}")]
    Channel(#[from] tidegate_contract::LineError),
    #[error("the app server did not say hello")]
    NoHello,
    #[error(
        "the app server (version {0}) speaks protocol {1}, this proxy {PROTOCOL}: install the same version of both"
    )]
    Mismatch(String, u32),
}

type Reader = Lines<ReadHalf<LocalStream>>;
type Writer = WriteHalf<LocalStream>;

impl Control {
    /// Keeps the channel until shutdown.
    pub(crate) async fn run(mut self, mut shutdown: watch::Receiver<bool>) {
        let mut lost_since = Instant::now();
        let mut is_lost = false;
        let mut last_error = String::new();
        loop {
            let connected = tokio::select! {
                connected = tidegate_host::connect_to_server(&self.endpoint, Instant::now() + CONNECT) => connected,
                _ = shutdown.wait_for(|stop| *stop) => return,
            };
            let ended = match connected {
                Ok(stream) => {
                    let mut was_connected = false;
                    let ended = tokio::select! {
                        ended = self.talk(stream, &mut was_connected) => ended,
                        _ = shutdown.wait_for(|stop| *stop) => return,
                    };
                    self.shared.metrics.set_supervisor_connected(false);
                    if was_connected {
                        lost_since = Instant::now();
                        is_lost = false;
                        last_error.clear();
                    }
                    ended.to_string()
                }
                Err(error) => format!("cannot connect to the app server at {}: {error}", self.endpoint),
            };
            if ended != last_error {
                warn!(reason = %ended, "no app server");
                last_error = ended;
            }
            if !is_lost && lost_since.elapsed() >= PATIENCE {
                is_lost = true;
                error!(seconds = PATIENCE.as_secs(), "app server gone: its apps are answered 503 until it is back");
                self.shared.apps.lose_all();
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn talk(&mut self, stream: LocalStream, connected: &mut bool) -> Ended {
        let (reader, mut writer) = tokio::io::split(stream);
        let mut reader = Lines::new(reader);
        if let Err(ended) = hello(&mut reader, &mut writer).await {
            return ended;
        }
        *connected = true;
        info!(endpoint = %self.endpoint, "connected to the app server");
        self.shared.metrics.set_supervisor_connected(true);
        self.shared.apps.reconnected();
        match self.exchange(&mut reader, &mut writer).await {
            Ok(()) => Ended::Closed,
            Err(ended) => ended,
        }
    }

    async fn exchange(&mut self, reader: &mut Reader, writer: &mut Writer) -> Result<(), Ended> {
        Lines::write(writer, &ToServer::Report(self.report())).await?;
        let mut prepared: Option<(u64, Prepared)> = None;
        let mut sweep = tokio::time::interval(SWEEP);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // Cancel-safe all: a line read in part stays in the reader, channels and the interval
            // keep what is not returned.
            tokio::select! {
                message = reader.next::<FromServer>() => match message? {
                    None => return Ok(()),
                    Some(message) => self.receive(message, &mut prepared, writer).await?,
                },
                Some(drained) = self.drained.recv() => {
                    let Drained { app, generation } = drained;
                    Lines::write(writer, &ToServer::Drained { app, generation }).await?;
                }
                Some(()) = self.reload_wanted.recv() => Lines::write(writer, &ToServer::Reload).await?,
                () = self.reload.news.notified() => Lines::write(writer, &ToServer::Report(self.report())).await?,
                _ = sweep.tick() => self.shared.apps.sweep(),
            }
        }
    }

    async fn receive(
        &self,
        message: FromServer,
        prepared: &mut Option<(u64, Prepared)>,
        writer: &mut Writer,
    ) -> Result<(), Ended> {
        match message {
            FromServer::Pool(pool) => self.apply(&pool),
            FromServer::Maintenance(state) => {
                self.shared.traffic.maintenance.set(state);
                reload::show_maintenance(&self.shared);
                // Whoever gave the order waits for this.
                Lines::write(writer, &ToServer::Report(self.report())).await?;
            }
            FromServer::SlotBack { app, dispatch, .. } => self.shared.apps.slot_back(&app, dispatch),
            FromServer::Prepare { reload, digest } => {
                let error = match self.reload.prepare(&self.file, &digest, self.shared.live.load_full()).await {
                    Ok(next) => {
                        *prepared = Some((reload, next));
                        None
                    }
                    Err(reason) => {
                        self.shared.metrics.reloaded(false);
                        Some(reason)
                    }
                };
                Lines::write(writer, &ToServer::Prepared { reload, error }).await?;
            }
            FromServer::Commit { reload, pool } => {
                match prepared.take() {
                    Some((number, next)) if number == reload => {
                        self.reload.commit(next, &self.shared);
                        self.shared.metrics.reloaded(true);
                        info!("configuration reloaded");
                        let drain = self.shared.live.load().site.limits.drain_timeout;
                        if let Some(warning) = tidegate_host::beyond_stop_limit("limits.drain_timeout", drain) {
                            warn!("{warning}");
                        }
                    }
                    _ => error!(reload, "commit of a reload that was not prepared"),
                }
                self.apply(&pool);
                Lines::write(writer, &ToServer::Report(self.report())).await?;
            }
            FromServer::Abort { reload } => {
                if prepared.take().is_some() {
                    self.shared.metrics.reloaded(false);
                    warn!(reload, "reload given up: the running configuration stays");
                }
            }
            FromServer::Done { error: Some(reason) } => error!(%reason, "reload failed"),
            FromServer::Done { error: None } | FromServer::Progress { .. } => {}
            FromServer::Hello { .. }
            | FromServer::Status(_)
            | FromServer::Inspected(_)
            | FromServer::Imported { .. } => {
                warn!("unexpected message on the control channel");
            }
        }
        Ok(())
    }

    fn apply(&self, pool: &PoolState) {
        self.shared.apps.update(pool);
    }

    fn report(&self) -> ProxyReport {
        self.reload.report(&self.shared)
    }
}

async fn hello(reader: &mut Reader, writer: &mut Writer) -> Result<(), Ended> {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    Lines::write(writer, &ToServer::Hello { protocol: PROTOCOL, version, role: Role::Proxy }).await?;
    match tokio::time::timeout(CONNECT, reader.next::<FromServer>()).await {
        Ok(Ok(Some(FromServer::Hello { protocol: PROTOCOL, .. }))) => Ok(()),
        Ok(Ok(Some(FromServer::Hello { protocol, version }))) => Err(Ended::Mismatch(version, protocol)),
        Ok(Ok(_)) | Err(_) => Err(Ended::NoHello),
        Ok(Err(error)) => Err(error.into()),
    }
}
