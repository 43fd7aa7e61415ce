//! TLS towards the site under test: accepts exactly the certificates that the test knows, whatever name they carry, and
//! keeps the one that was presented.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::http1::Connection;
use super::http2::Http2;
use crate::wait::bounded;

/// The certificate that a server presented.
pub type Presented = CertificateDer<'static>;

/// A TLS client.
#[derive(Debug, Clone)]
pub struct Tls {
    known: Arc<Known>,
    /// What it shows of itself: certificate and key, PEM.
    shown: Option<(String, String)>,
}

impl Tls {
    /// Accepts these certificates (PEM) and no others.
    pub fn trusting(certificates: &[&str]) -> Self {
        let certificates = certificates.iter().map(|pem| certificate(pem)).collect();
        Self {
            known: Arc::new(Known { certificates, provider: Arc::new(rustls::crypto::ring::default_provider()) }),
            shown: None,
        }
    }

    /// Shows this certificate to servers that ask for one.
    pub fn showing(self, certificate: &str, key: &str) -> Self {
        Self { shown: Some((certificate.to_owned(), key.to_owned())), ..self }
    }

    /// Whether this is one of the certificates that are accepted.
    pub fn knows(&self, presented: &Presented) -> bool {
        self.known.certificates.contains(presented)
    }

    /// Connects, asks for `name`, and speaks HTTP/1.1.
    pub async fn http1(&self, address: SocketAddr, name: &str) -> Connection {
        let (stream, presented) = self.connect(address, name, &["http/1.1"]).await.unwrap();
        Connection::over(stream, name, Some(presented))
    }

    /// Connects, asks for `name`, and speaks HTTP/2.
    pub async fn http2(&self, address: SocketAddr, name: &str) -> Http2 {
        let (stream, presented) = self.connect(address, name, &["h2", "http/1.1"]).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        Http2::over(stream, name, presented).await
    }

    /// Connects and offers these protocols. An IP address as the name sends no SNI.
    pub async fn connect(
        &self,
        address: SocketAddr,
        name: &str,
        protocols: &[&str],
    ) -> std::io::Result<(TlsStream<TcpStream>, Presented)> {
        let config = ClientConfig::builder_with_provider(Arc::clone(&self.known.provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&self.known) as Arc<dyn ServerCertVerifier>);
        let mut config = match &self.shown {
            None => config.with_no_client_auth(),
            Some((shown, key)) => {
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                config.with_client_auth_cert(vec![certificate(shown)], key).unwrap()
            }
        };
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let connect = async {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let name = ServerName::try_from(name.to_owned()).unwrap();
            TlsConnector::from(Arc::new(config)).connect(name, stream).await
        };
        let stream = bounded("a TLS handshake", connect).await?;
        let presented = stream.get_ref().1.peer_certificates().unwrap()[0].clone();
        Ok((stream, presented))
    }
}

/// A certificate from its PEM.
pub(crate) fn certificate(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

#[derive(Debug)]
struct Known {
    certificates: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Known {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.certificates.iter().any(|known| known.as_ref() == end_entity.as_ref()) {
            return Ok(ServerCertVerified::assertion());
        }
        Err(Error::InvalidCertificate(CertificateError::UnknownIssuer))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
