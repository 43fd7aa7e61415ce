//! What the site's listeners need for TLS, read from its files: certificates, and a configuration for each listener.
//! Read at start, for a reload and by `watch`; put in force by `reload`. Never changes anything itself.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use sha2::{Digest as _, Sha256};
use tidegate_certs::{Certificate, CertificateError, Staple, Store};
use tidegate_site::{CertificateSource, ClientCertificates, Site, TlsProfile};
use tracing::info;

use super::files::{Digest, digest};

/// Everything that was read for one site file.
#[derive(Debug)]
pub(crate) struct Material {
    /// The certificates, the default first.
    pub(crate) certificates: Vec<Certificate>,
    /// For each of the site's listeners, in its order; none where no TLS is spoken.
    pub(crate) configs: Vec<Option<Config>>,
    /// Of the files' content before they were read: one that changed meanwhile shows as changed.
    pub(crate) digest: Digest,
}

/// A listener's TLS and what it demands. Listeners with the same demands share one, and so do a listener before and
/// after a reload: its sessions can be resumed.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    demands: Demands,
    /// The configuration itself.
    pub(crate) server: Arc<ServerConfig>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Demands {
    profile: TlsProfile,
    /// With the content of the files: with other authorities nothing that was agreed upon before holds.
    clients: Option<(ClientCertificates, Digest)>,
}

impl Material {
    /// Reads what the site names. `running` are configurations in force, to go on with.
    pub(crate) fn load(site: &Site, store: &Arc<Store>, running: &[Config]) -> Result<Self, CertificateError> {
        let digest = with_stores(site, digest(&files(site)));
        let certificates = certificates(site)?;
        let mut known = running.to_vec();
        let mut configs = Vec::with_capacity(site.listeners.len());
        for listener in &site.listeners {
            if listener.protocol != tidegate_site::Protocol::Https {
                configs.push(None);
                continue;
            }
            let clients = listener.client_certificates.as_ref();
            let clients = clients.map(|clients| (clients.clone(), self::digest(&of_clients(clients))));
            let demands = Demands { profile: site.tls.profile, clients };
            let config = match known.iter().find(|config| config.demands == demands) {
                Some(config) => config.clone(),
                None => Config::new(demands, store)?,
            };
            known.push(config.clone());
            configs.push(Some(config));
        }
        Ok(Self { certificates, configs, digest })
    }
}

impl Config {
    fn new(demands: Demands, store: &Arc<Store>) -> Result<Self, CertificateError> {
        let clients = match &demands.clients {
            None => None,
            Some((clients, _)) => Some(tidegate_certs::client_verifier(clients)?),
        };
        let server = tidegate_certs::server_config(Arc::clone(store), demands.profile, clients);
        Ok(Self { demands, server })
    }

    /// Whether clients are asked for a certificate.
    pub(crate) fn asks_clients(&self) -> bool {
        self.demands.clients.is_some()
    }
}

/// Every file that the site's TLS is read from.
pub(crate) fn files(site: &Site) -> Vec<PathBuf> {
    if !site.uses_tls() {
        return Vec::new();
    }
    let certificates = site.certificates.iter().flat_map(|certificate| certificate.files());
    let clients = site.listeners.iter().filter_map(|listener| listener.client_certificates.as_ref());
    certificates.chain(clients.flat_map(|clients| clients.files())).cloned().collect()
}

/// The digest of files, and of which certificates of stores are meant now. The same digest where no store is named.
pub(crate) fn with_stores(site: &Site, files: Digest) -> Digest {
    if !uses_stores(site) {
        return files;
    }
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    let meant = site.certificates.iter().filter_map(|certificate| match &certificate.source {
        CertificateSource::Store { store, pick } => {
            Some(tidegate_certs::pick_from_windows_store(store, pick, now).unwrap_or_else(|error| error.to_string()))
        }
        _ => None,
    });
    let all = meant.fold(Sha256::new().chain_update(files), |all, meant| all.chain_update(meant));
    all.finalize().into()
}

/// Whether a certificate of the site is in a store.
pub(crate) fn uses_stores(site: &Site) -> bool {
    site.uses_tls()
        && site.certificates.iter().any(|certificate| matches!(certificate.source, CertificateSource::Store { .. }))
}

fn of_clients(clients: &ClientCertificates) -> Vec<PathBuf> {
    clients.files().cloned().collect()
}

/// When the first of the OCSP responses that are sent expires, in seconds since 1970.
pub(crate) fn staples_end(certificates: &[Certificate]) -> Option<i64> {
    let ends = certificates.iter().filter_map(|certificate| match certificate.staple {
        Some(Staple::Sent { until }) => until,
        Some(Staple::Ignored(_)) | None => None,
    });
    ends.min()
}

/// Loads the site's certificates; without any, the self-signed one for development.
fn certificates(site: &Site) -> Result<Vec<Certificate>, CertificateError> {
    if !site.uses_tls() {
        return Ok(Vec::new());
    }
    if site.certificates.is_empty() {
        let names: Vec<String> =
            site.hosts.iter().flat_map(|host| host.names.iter()).filter(|name| *name != "*").cloned().collect();
        let certificate = tidegate_certs::development(&site.state_dir, &names)?;
        info!(source = %certificate.source, "no certificate configured: using a self-signed one for development");
        return Ok(vec![certificate]);
    }
    site.certificates.iter().map(tidegate_certs::load).collect()
}
