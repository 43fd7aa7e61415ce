//! What a listener does with a connection: what is spoken, and with which TLS. Replaced as a whole when a reload or
//! other authorities change it; connections keep the one they came in under, and learn when it is retired.

use std::sync::Arc;

use ipnet::IpNet;
use rustls::ServerConfig;
use tidegate_site::Protocol;
use tokio::sync::watch;

use super::tls::Config;

/// What a listener does with a connection.
#[derive(Debug)]
pub(crate) struct Service {
    /// What is spoken.
    pub(crate) protocol: Protocol,
    /// How, if it is TLS.
    pub(crate) tls: Option<Arc<ServerConfig>>,
    /// Whether clients are asked for a certificate, so that apps are told of it.
    pub(crate) asks_clients: bool,
    /// Whose connections begin with a PROXY header; empty: nobody's.
    pub(crate) balancers: Vec<IpNet>,
    retired: watch::Sender<bool>,
}

impl Service {
    /// A service with connections to come.
    pub(crate) fn new(protocol: Protocol, balancers: Vec<IpNet>, config: Option<&Config>) -> Self {
        let tls = config.map(|config| Arc::clone(&config.server));
        let asks_clients = config.is_some_and(Config::asks_clients);
        Self { protocol, tls, asks_clients, balancers, retired: watch::Sender::new(false) }
    }

    /// Whether it makes no difference to a client which of the two it met.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let same_tls = match (&self.tls, &other.tls) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        };
        self.protocol == other.protocol && self.balancers == other.balancers && same_tls
    }

    /// Becomes true when its connections should end as soon as what runs on them is answered.
    pub(crate) fn retirement(&self) -> watch::Receiver<bool> {
        self.retired.subscribe()
    }

    /// Asks its connections to end.
    pub(crate) fn retire(&self) {
        self.retired.send_replace(true);
    }
}
