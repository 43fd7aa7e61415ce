//! Listening sockets: bind, accept, TLS handshake. Hands every connection to `session`.
//!
//! Our own accept loop, because what pingora's does on Windows (shared port, shallow backlog, no
//! stop but Ctrl-C) is not fit for a server; see docs/architecture.md.
//!
//! - `set`: the listeners in force, and what a reload makes of them
//! - `accept`, `connection`: from the backlog to a session
//! - `places`, `addresses`: how many connections there may be
//! - `proxy_protocol`: what a load balancer says of a connection
//! - `service`: what is spoken on a listener
//! - `tls`, `files`, `watch`: certificates and authorities, and when their files have changed

mod accept;
pub(crate) mod addresses;
pub(crate) mod connection;
mod files;
pub(crate) mod places;
mod proxy_protocol;
mod service;
pub(crate) mod set;
pub(crate) mod stream;
pub(crate) mod tls;
pub(crate) mod watch;

#[cfg(any(fuzzing, test))]
pub use self::proxy_protocol::fuzz as fuzz_proxy_protocol;

use std::net::SocketAddr;
use std::sync::Arc;

use tidegate_contract::ClientCertificate;
use tidegate_site::Protocol;

/// Everything a connection's task carries about where it came in.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    /// The client's address.
    pub(crate) peer: SocketAddr,
    /// The listener's port.
    pub(crate) port: u16,
    /// What is spoken on the listener.
    pub(crate) protocol: Protocol,
    /// The certificate the client has shown, on a listener that asks for one.
    pub(crate) client_certificate: Option<Arc<ClientCertificate>>,
}
