//! Checked: where the proxy listens, and how it speaks TLS there.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use tidegate_host::certificate_store::StoreName;

/// A listening socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Address and port. `[::]` also takes IPv4.
    pub address: SocketAddr,
    /// What is spoken on it.
    pub protocol: Protocol,
    /// Whether clients have to show a certificate of their own; only with [`Protocol::Https`].
    pub client_certificates: Option<ClientCertificates>,
    /// Whose connections begin with a PROXY header; then others are refused. Empty: nobody's.
    pub proxy_protocol: Vec<IpNet>,
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

/// Certificates that a listener asks its clients for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificates {
    /// PEM: those who may have issued them.
    pub authorities: PathBuf,
    /// Whether a client without one is let in.
    pub mode: ClientCertificateMode,
    /// PEM: lists of what the issuers have revoked.
    pub revoked: Option<PathBuf>,
}

/// What happens to a client that shows no certificate. One that shows a wrong one is never let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCertificateMode {
    /// It is refused.
    Required,
    /// It is served, and the app is told that there was none.
    Optional,
}

/// One of the site's certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// Chain and key.
    pub source: CertificateSource,
    /// A stapled OCSP response, DER.
    pub ocsp: Option<PathBuf>,
}

/// Where a certificate chain and its key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateSource {
    /// PEM.
    Pem {
        /// The chain, leaf first.
        certificate: PathBuf,
        /// The private key.
        key: PathBuf,
    },
    /// PKCS #12, both in one file.
    Pfx {
        /// The file.
        file: PathBuf,
        /// What opens it.
        password: PfxPassword,
    },
    /// The certificate store of Windows, which keeps the key.
    Store {
        /// The store.
        store: StoreName,
        /// Which certificate of it.
        pick: StorePick,
    },
}

/// Which certificate of the Windows store is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StorePick {
    /// The one with this thumbprint, forty hexadecimal capitals.
    Thumbprint(String),
    /// The newest for this name that is valid and has a key.
    Subject(String),
}

impl std::fmt::Display for StorePick {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Thumbprint(thumbprint) => write!(f, "thumbprint {thumbprint}"),
            Self::Subject(subject) => write!(f, "subject {subject}"),
        }
    }
}

/// Where the password of a PFX file is: never in the site file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PfxPassword {
    /// It is empty.
    Empty,
    /// The first line of this file.
    File(PathBuf),
    /// This variable of the proxy's environment.
    Variable(String),
}

/// TLS of every https listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// Versions and ciphers.
    pub profile: TlsProfile,
    /// How often the files of certificates are looked at; nothing: only a reload reads them again.
    pub watch: Option<Duration>,
}

/// Which versions of TLS are spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsProfile {
    /// 1.3 alone.
    Modern,
    /// 1.2 and 1.3, with forward secrecy and authenticated encryption in both.
    Intermediate,
}

impl CertificateFiles {
    /// Every file that it is read from.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let (first, second) = match &self.source {
            CertificateSource::Pem { certificate, key } => (Some(certificate), Some(key)),
            CertificateSource::Pfx { file, password: PfxPassword::File(password) } => (Some(file), Some(password)),
            CertificateSource::Pfx { file, .. } => (Some(file), None),
            CertificateSource::Store { .. } => (None, None),
        };
        [first, second, self.ocsp.as_ref()].into_iter().flatten()
    }
}

impl ClientCertificates {
    /// Every file that they are checked with.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        [Some(&self.authorities), self.revoked.as_ref()].into_iter().flatten()
    }
}
