//! Loading a configuration and putting it in force, at start and on reload.

use std::path::Path;
use std::sync::Arc;

use tidegate_certs::{Certificate, Store};
use tidegate_contract::{CertificateReport, ListenerReport, ProxyReport};
use tidegate_site::{Listener, Protocol, Site};
use tracing::info;

use crate::metrics::CertificateExpiry;
use crate::shared::{Live, Shared};

/// What a reload needs to know of the running proxy.
#[derive(Debug)]
pub(crate) struct Reload {
    /// Certificates in force.
    pub(crate) store: Arc<Store>,
    /// Listeners as configured when they were bound; a reload cannot change them yet.
    pub(crate) listeners: Vec<Listener>,
    /// Listeners as bound.
    pub(crate) bound: Vec<ListenerReport>,
    /// Address of the metrics listener.
    pub(crate) metrics: Option<String>,
}

/// A configuration that was loaded and can be put in force without fail.
#[derive(Debug)]
pub(crate) struct Prepared {
    live: Live,
    certificates: Vec<Certificate>,
}

impl Reload {
    /// Loads the file whose digest the app server named, with its certificates.
    pub(crate) async fn prepare(&self, file: &Path, digest: &str, shared: &Arc<Shared>) -> Result<Prepared, String> {
        let file = file.to_owned();
        let loaded = tokio::task::spawn_blocking(move || {
            let site = tidegate_site::load(&file).map_err(|error| error.to_string())?;
            let certificates = certificates(&site).map_err(|error| error.to_string())?;
            Ok::<_, String>((site, certificates))
        });
        let (site, certificates) = loaded.await.map_err(|error| error.to_string())??;
        if site.digest != digest {
            return Err(format!("{} changed while it was being reloaded: try again", site.file.display()));
        }
        let running = shared.live.load();
        if site.listeners != self.listeners || site.metrics != running.site.metrics {
            return Err("listeners and the metrics address cannot be changed by a reload: restart the proxy".to_owned());
        }
        Ok(Prepared { live: Live::new(site, Some(&running), &shared.metrics), certificates })
    }

    /// Puts a prepared configuration in force.
    pub(crate) fn commit(&self, prepared: Prepared, shared: &Shared) {
        let Prepared { live, certificates } = prepared;
        shared.apps.configure(&live.site);
        show_certificates(&certificates, shared);
        self.store.replace(certificates);
        shared.access.configure(live.site.log.format, live.site.log.access);
        tidegate_log::init("proxy", &live.site.log);
        shared.live.store(Arc::new(live));
        show_maintenance(shared);
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
            listeners: self.bound.clone(),
            certificates: self.store.certificates().iter().map(certificate).collect(),
            metrics: self.metrics.clone(),
            digest: shared.live.load().site.digest.clone(),
        }
    }
}

/// Loads the site's certificates; without any, the self-signed one for development.
pub(crate) fn certificates(site: &Site) -> Result<Vec<Certificate>, tidegate_certs::CertificateError> {
    if !site.listeners.iter().any(|listener| listener.protocol == Protocol::Https) {
        return Ok(Vec::new());
    }
    if site.certificates.is_empty() {
        let names: Vec<String> =
            site.hosts.iter().flat_map(|host| host.names.iter()).filter(|name| *name != "*").cloned().collect();
        let certificate = tidegate_certs::development(&site.state_dir, &names)?;
        info!(source = %certificate.source, "no certificate configured: using a self-signed one for development");
        return Ok(vec![certificate]);
    }
    site.certificates.iter().map(|files| tidegate_certs::load(&files.certificate, &files.key)).collect()
}

/// Shows in the metrics which hosts are closed.
pub(crate) fn show_maintenance(shared: &Shared) {
    shared.metrics.set_maintenance(&shared.traffic.maintenance.report(&shared.live.load().site));
}

/// Shows the certificates' expiry in the metrics.
pub(crate) fn show_certificates(certificates: &[Certificate], shared: &Shared) {
    let expiry: Vec<CertificateExpiry> = certificates
        .iter()
        .map(|certificate| CertificateExpiry {
            source: certificate.source.clone(),
            name: certificate.names.first().cloned().unwrap_or_default(),
            not_after: certificate.not_after,
        })
        .collect();
    shared.metrics.set_certificates(&expiry);
}
