//! Checked: where the proxy listens, and with which certificates.

use std::net::SocketAddr;
use std::path::PathBuf;

/// A listening socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Address and port. `[::]` also takes IPv4.
    pub address: SocketAddr,
    /// What is spoken on it.
    pub protocol: Protocol,
}

/// What a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// TLS with HTTP/1.1 and HTTP/2.
    Https,
    /// Plain HTTP/1.1, served like HTTPS.
    Http,
    /// Plain HTTP/1.1 that answers 308 to the same URL on this HTTPS port.
    Redirect {
        /// The port named in the redirect's target; 443 is left out of the URL. 0 where the system
        /// chooses the port of the first https listener: then it is the one that was bound.
        https_port: u16,
    },
}

/// A certificate chain and its key, PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}
