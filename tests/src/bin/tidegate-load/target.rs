//! What is asked, of whom: the URL taken apart, the address, TLS settings, and the request as bytes, all made once.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio_rustls::TlsConnector;

use crate::options::Options;

/// A server on this machine and the request that it is sent.
pub(crate) struct Target {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Present for https.
    pub(crate) tls: Option<(TlsConnector, ServerName<'static>)>,
    /// Request line and header.
    pub(crate) head: Vec<u8>,
    /// Length of the body that follows.
    pub(crate) body: u64,
    /// The answer has a header only.
    pub(crate) is_head: bool,
}

impl Target {
    /// Takes the options apart. Refuses any server that is not on this machine.
    pub(crate) fn new(options: &Options) -> Result<Self> {
        let url = Url::parse(&options.url)?;
        let address = (url.host, url.port)
            .to_socket_addrs()
            .with_context(|| format!("{:?} is no address", url.host))?
            .next()
            .with_context(|| format!("{:?} has no address", url.host))?;
        if !address.ip().is_loopback() {
            bail!("{} is not a loopback address: load is for servers on this machine only", address.ip());
        }
        let tls = if url.secure {
            let name = ServerName::try_from(url.host.to_owned()).context("the host is no server name")?;
            Some((TlsConnector::from(Arc::new(accept_any()?)), name))
        } else {
            None
        };
        if options.slow.is_some() && url.secure {
            bail!("slow clients speak http://: TLS moves records, not single bytes");
        }
        let body = options.body_bytes.unwrap_or(0);
        Ok(Self { address, tls, head: head(options, &url)?, body, is_head: options.method == "HEAD" })
    }
}

struct Url<'a> {
    secure: bool,
    authority: &'a str,
    host: &'a str,
    port: u16,
    target: &'a str,
}

impl<'a> Url<'a> {
    fn parse(url: &'a str) -> Result<Self> {
        let (secure, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => bail!("{url:?} starts with neither https:// nor http://"),
        };
        let (authority, target) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                (host, port.parse().with_context(|| format!("{port:?} is no port"))?)
            }
            _ => (authority, if secure { 443 } else { 80 }),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if host.is_empty() || url.contains(|c: char| c.is_ascii_control() || c == ' ') {
            bail!("{url:?} is no URL");
        }
        Ok(Self { secure, authority, host, port, target: if target.is_empty() { "/" } else { target } })
    }
}

fn head(options: &Options, url: &Url<'_>) -> Result<Vec<u8>> {
    let mut head = format!("{} {} HTTP/1.1\r\n", options.method, url.target);
    let names_host = |field: &String| field.split(':').next().is_some_and(|name| name.eq_ignore_ascii_case("host"));
    if !options.header.iter().any(names_host) {
        head += &format!("Host: {}\r\n", url.authority);
    }
    for field in &options.header {
        let (name, value) = field.split_once(':').with_context(|| format!("{field:?} is not NAME:VALUE"))?;
        head += &format!("{name}: {}\r\n", value.trim());
    }
    if let Some(length) = options.body_bytes {
        head += &format!("Content-Length: {length}\r\n");
    }
    if options.close {
        head += "Connection: close\r\n";
    }
    head += "\r\n";
    Ok(head.into_bytes())
}

/// Handshakes are full ones: without tickets and session ids, a user who comes back costs the server what a new one does.
fn accept_any() -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AcceptAny(provider)))
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Takes every certificate and checks no signature: the server is on this machine, and its CPU is what is measured.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn target(args: &[&str]) -> Result<Target> {
        Target::new(&Options::parse_from(["tidegate-load"].iter().chain(args)))
    }

    #[test]
    fn only_this_machine_is_a_target() {
        for url in ["http://127.0.0.1:8080/a", "http://[::1]:8080", "https://127.9.9.9/"] {
            assert!(target(&["--url", url]).is_ok(), "{url}");
        }
        for url in ["http://10.0.0.1/", "http://192.168.1.1:80/", "http://[2001:db8::1]/", "http://0.0.0.0/"] {
            assert!(target(&["--url", url]).is_err(), "{url}");
        }
        assert!(target(&["--url=https://127.0.0.1/", "--slow=read"]).is_err());
        assert!(target(&["--url=http://127.0.0.1/", "--slow=read"]).is_ok());
        for url in ["ftp://127.0.0.1/", "127.0.0.1", "http://:80/", "http://127.0.0.1:x/", "http://127.0.0.1/a b"] {
            assert!(target(&["--url", url]).is_err(), "{url}");
        }
    }

    #[test]
    fn the_request_is_what_the_options_say() {
        let head = |args: &[&str]| String::from_utf8(target(args).unwrap().head).unwrap();
        assert_eq!(head(&["--url", "http://127.0.0.1:81"]), "GET / HTTP/1.1\r\nHost: 127.0.0.1:81\r\n\r\n");
        assert_eq!(
            head(&[
                "--url=http://[::1]/a?b",
                "--method=POST",
                "--header=host:x.example",
                "--header=A: b",
                "--body-bytes=5",
                "--close",
            ]),
            "POST /a?b HTTP/1.1\r\nhost: x.example\r\nA: b\r\nContent-Length: 5\r\nConnection: close\r\n\r\n"
        );
    }
}
