//! Loading a configuration and putting it in force, at start, on reload, and its certificates when their files change.
//! Whatever can fail happens before anything changes.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use parking_lot::Mutex;
use tidegate_certs::{Certificate, Staple, Store};
use tidegate_contract::{CertificateReport, ProxyReport};
use tidegate_host::Event;
use tidegate_site::Site;
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, spawn_blocking};
use tracing::{error, info, warn};

use crate::listener::set::{Listeners, Plan};
use crate::listener::tls::{self, Material};
use crate::metrics::{self, CertificateExpiry, Metrics, Readiness};
use crate::shared::{Live, Shared};

/// What is in force beside [`Shared::live`], and how it is replaced.
#[derive(Debug)]
pub(crate) struct Reload {
    metrics: Arc<Metrics>,
    store: Arc<Store>,
    listeners: Listeners,
    figures: Mutex<Option<Figures>>,
    /// Of the files that the certificates in force came from. Locked while certificates or a site are put in force.
    tls: Mutex<[u8; 32]>,
    /// There is something new to report.
    pub(crate) news: Notify,
}

/// The metrics listener that serves.
#[derive(Debug)]
struct Figures {
    configured: SocketAddr,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// A configuration that was loaded and can be put in force without fail.
#[derive(Debug)]
pub(crate) struct Prepared {
    live: Arc<Live>,
    listeners: Plan,
    material: Material,
    figures: PlannedFigures,
}

/// What becomes of the metrics listener.
#[derive(Debug)]
enum PlannedFigures {
    Same,
    None,
    New(SocketAddr, TcpListener),
}

impl Prepared {
    /// The configuration itself.
    pub(crate) fn live(&self) -> Arc<Live> {
        Arc::clone(&self.live)
    }
}

impl Reload {
    /// Nothing is in force yet.
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            metrics,
            store: Arc::new(Store::new(Vec::new())),
            listeners: Listeners::default(),
            figures: Mutex::default(),
            tls: Mutex::default(),
            news: Notify::new(),
        }
    }

    /// Reads the site's certificates and binds what is not bound yet. `before` is what is in force. Blocks; needs the
    /// runtime.
    pub(crate) fn plan(&self, site: Site, before: Option<&Live>) -> anyhow::Result<Prepared> {
        let material =
            Material::load(&site, &self.store, &self.listeners.configs()).context("cannot load certificates")?;
        let listeners = self.listeners.plan(&site)?;
        let figures = self.plan_figures(site.metrics)?;
        Ok(Prepared { live: Arc::new(Live::new(site, before, &self.metrics)), listeners, material, figures })
    }

    fn plan_figures(&self, wanted: Option<SocketAddr>) -> io::Result<PlannedFigures> {
        let running = self.figures.lock();
        match wanted {
            None => Ok(PlannedFigures::None),
            Some(address) if running.as_ref().is_some_and(|running| running.configured == address) => {
                Ok(PlannedFigures::Same)
            }
            Some(address) => {
                let bound = tidegate_host::listen_tcp(address).and_then(TcpListener::from_std);
                let bound = bound.map_err(|error| io::Error::new(error.kind(), format!("{error} (key metrics)")))?;
                Ok(PlannedFigures::New(address, bound))
            }
        }
    }

    /// Loads the file whose digest the app server named, with its certificates and new listeners.
    pub(crate) async fn prepare(
        self: &Arc<Self>,
        file: &Path,
        digest: &str,
        before: Arc<Live>,
    ) -> Result<Prepared, String> {
        let (file, digest, reload) = (file.to_owned(), digest.to_owned(), Arc::clone(self));
        let prepared = spawn_blocking(move || {
            let site =
                tidegate_site::load_as(&file, tidegate_site::Reader::Proxy).map_err(|error| error.to_string())?;
            if site.digest != digest {
                return Err(format!("{} changed while it was being reloaded: try again", site.file.display()));
            }
            reload.plan(site, Some(&before)).map_err(|error| format!("{error:#}"))
        });
        prepared.await.map_err(|error| error.to_string())?
    }

    /// Puts a prepared configuration in force.
    pub(crate) fn commit(&self, prepared: Prepared, shared: &Arc<Shared>) {
        let Prepared { live, listeners, material, figures } = prepared;
        let mut tls = self.tls.lock();
        warn_of_uncovered(&live.site, &material.certificates);
        shared.apps.configure(&live.site);
        self.show(&material, shared, &mut tls);
        if let Err(error) = tidegate_log::init("proxy", &live.site.log) {
            error!(%error, "cannot open the log file (key log.to): its lines are lost until it can be opened");
        }
        if let Err(error) = shared.access.configure(live.site.log.access.as_ref()) {
            error!(%error, "cannot open the access log (key log.access): its lines are lost until it can be opened");
        }
        shared.places.resize(live.site.limits.connections);
        shared.live.store(live);
        show_maintenance(shared);
        self.listeners.commit(listeners, material.configs, shared);
        self.commit_figures(figures, shared);
    }

    fn commit_figures(&self, planned: PlannedFigures, shared: &Arc<Shared>) {
        let mut running = self.figures.lock();
        let next = match planned {
            PlannedFigures::Same => return,
            PlannedFigures::None => None,
            PlannedFigures::New(configured, socket) => {
                let address = socket.local_addr().unwrap_or(configured);
                let (stop, stopped) = watch::channel(false);
                let readiness = {
                    let shared = Arc::clone(shared);
                    move || Readiness {
                        apps: shared.apps.readiness(),
                        maintenance: shared.traffic.maintenance.report(&shared.live.load().site),
                    }
                };
                let task = tokio::spawn(metrics::serve(socket, Arc::clone(&shared.metrics), readiness, stopped));
                Some(Figures { configured, address, stop, task })
            }
        };
        // The task ends by itself; it has nothing that anyone waits for.
        if let Some(before) = std::mem::replace(&mut *running, next) {
            before.stop.send_replace(true);
        }
    }

    /// Reads the certificates of the site in force again and puts them in force.
    pub(crate) async fn load_certificates(self: &Arc<Self>, live: &Arc<Live>, shared: &Shared) -> Result<(), String> {
        let (reload, site) = (Arc::clone(self), Arc::clone(live));
        let loaded = spawn_blocking(move || {
            let material = Material::load(&site.site, &reload.store, &reload.listeners.configs());
            material.map_err(|error| format!("{:#}", anyhow::Error::from(error)))
        });
        let material = loaded.await.map_err(|error| error.to_string())??;
        let mut tls = self.tls.lock();
        // A site that came into force meanwhile has read its own.
        if Arc::ptr_eq(&shared.live.load_full(), live) {
            self.show(&material, shared, &mut tls);
            self.listeners.change_tls(material.configs);
            self.news.notify_one();
        }
        Ok(())
    }

    /// What the certificates in force were read from, and when the first of their OCSP responses expires.
    pub(crate) fn tls_in_force(&self) -> ([u8; 32], Option<i64>) {
        let tls = self.tls.lock();
        (*tls, tls::staples_end(&self.store.certificates()))
    }

    /// Puts certificates in force, in handshakes and in the metrics.
    fn show(&self, material: &Material, shared: &Shared, digest: &mut [u8; 32]) {
        let expiry: Vec<CertificateExpiry> = material
            .certificates
            .iter()
            .map(|certificate| CertificateExpiry {
                source: certificate.source.clone(),
                name: certificate.names.first().cloned().unwrap_or_default(),
                not_after: certificate.not_after,
            })
            .collect();
        shared.metrics.set_certificates(&expiry);
        let now = OffsetDateTime::now_utc().unix_timestamp();
        for certificate in &material.certificates {
            for warning in certificate.warnings(now) {
                warn!("{warning}");
                tidegate_host::report_event(Event::CertificateWarning, &warning);
            }
            if let Some(Staple::Sent { .. }) = certificate.staple {
                info!(certificate = %certificate.source, "OCSP response stapled");
            }
        }
        self.store.replace(material.certificates.clone());
        *digest = material.digest;
    }

    /// What the proxy serves now.
    pub(crate) fn report(&self, shared: &Shared) -> ProxyReport {
        let certificate = |certificate: &Certificate| CertificateReport {
            source: certificate.source.clone(),
            names: certificate.names.clone(),
            not_after: certificate.not_after_text(),
            self_signed: certificate.self_signed,
        };
        ProxyReport {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            listeners: self.listeners.report(),
            certificates: self.store.certificates().iter().map(certificate).collect(),
            metrics: self.figures.lock().as_ref().map(|figures| figures.address.to_string()),
            digest: shared.live.load().site.digest.clone(),
        }
    }

    /// Ends the listeners; returns when none accepts any more.
    pub(crate) async fn stop_listeners(&self) {
        self.listeners.stop().await;
    }

    /// Ends the metrics listener.
    pub(crate) async fn stop_figures(&self) {
        let figures = self.figures.lock().take();
        if let Some(figures) = figures {
            figures.stop.send_replace(true);
            // A panic in it has been logged by the panic hook.
            let _ = figures.task.await;
        }
    }
}

/// Shows in the metrics which hosts are closed.
pub(crate) fn show_maintenance(shared: &Shared) {
    shared.metrics.set_maintenance(&shared.traffic.maintenance.report(&shared.live.load().site));
}

/// A visitor of such a host is shown a warning, or nothing at all.
fn warn_of_uncovered(site: &Site, certificates: &[Certificate]) {
    if certificates.is_empty() {
        return;
    }
    let names = site.hosts.iter().flat_map(|host| host.names.iter().chain(&host.aliases)).map(String::as_str);
    for name in tidegate_certs::uncovered(certificates, names) {
        warn!(host = name, "no certificate is for this host: its clients are shown the first one");
    }
}
