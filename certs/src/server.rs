//! TLS settings of the listeners.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::{ServerSessionMemoryCache, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use tidegate_site::TlsProfile;

use crate::{ClientVerifier, Store};

/// Sessions kept for clients that resume without tickets. Few do; each takes about a kilobyte.
const SESSIONS: usize = 4096;

/// The profile's TLS with the certificates of `store`, HTTP/2 before HTTP/1.1. What it has agreed upon with a
/// client is resumed by it alone: one with other demands on clients has other secrets.
pub fn server_config(store: Arc<Store>, profile: TlsProfile, clients: Option<ClientVerifier>) -> Arc<ServerConfig> {
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let versions: &[_] = match profile {
        TlsProfile::Modern => &[&TLS13],
        TlsProfile::Intermediate => &[&TLS13, &TLS12],
    };
    #[expect(
        clippy::expect_used,
        reason = "fails only for a provider without a cipher suite of a version; ring has both"
    )]
    let builder = builder.with_protocol_versions(versions).expect("ring serves TLS 1.2 and 1.3");
    let clients = clients.map_or_else(WebPkiClientVerifier::no_client_auth, |clients| clients.0);
    let mut config = builder.with_client_cert_verifier(clients).with_cert_resolver(store);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ignore_client_order = true;
    config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
    // Fails only if the system has no randomness; then sessions are remembered here only.
    if let Ok(ticketer) = ring::Ticketer::new() {
        config.ticketer = ticketer;
    }
    Arc::new(config)
}

#[cfg(test)]
mod tests {
    use rustls::client::{ClientConfig, ClientConnection, Resumption};
    use rustls::pki_types::ServerName;
    use rustls::{HandshakeKind, ProtocolVersion, RootCertStore, ServerConnection, SupportedProtocolVersion, version};

    use super::*;
    use crate::testing::Scratch;
    use crate::{Certificate, development};

    fn intermediate(store: Store) -> Arc<ServerConfig> {
        server_config(Arc::new(store), TlsProfile::Intermediate, None)
    }

    fn client(
        trusted: &Certificate,
        version: &'static SupportedProtocolVersion,
        protocols: &[&str],
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(trusted.key.cert[0].clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_protocol_versions(&[version]).unwrap();
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        config.resumption = Resumption::in_memory_sessions(4);
        Arc::new(config)
    }

    /// Both ends in memory, until neither has anything more to say.
    fn handshake(
        client: Arc<ClientConfig>,
        server: &Arc<ServerConfig>,
        name: &'static str,
    ) -> (ClientConnection, ServerConnection) {
        let mut client = ClientConnection::new(client, ServerName::try_from(name).unwrap()).unwrap();
        let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
        while client.wants_write() || server.wants_write() {
            let mut bytes = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut bytes).unwrap();
            }
            server.read_tls(&mut &bytes[..]).unwrap();
            server.process_new_packets().unwrap();
            bytes.clear();
            while server.wants_write() {
                server.write_tls(&mut bytes).unwrap();
            }
            client.read_tls(&mut &bytes[..]).unwrap();
            client.process_new_packets().unwrap();
        }
        (client, server)
    }

    #[test]
    fn both_versions_are_served_and_http_2_is_preferred() {
        let scratch = Scratch::new();
        let certificate = development(&scratch.0, &[]).unwrap();
        let server = intermediate(Store::new(vec![certificate.clone()]));
        for (version, number) in
            [(&version::TLS12, ProtocolVersion::TLSv1_2), (&version::TLS13, ProtocolVersion::TLSv1_3)]
        {
            for (offered, expected) in
                [(&["http/1.1", "h2"][..], Some(&b"h2"[..])), (&["http/1.1"], Some(b"http/1.1")), (&[], None)]
            {
                let (client, _) = handshake(client(&certificate, version, offered), &server, "localhost");
                assert_eq!(client.protocol_version(), Some(number));
                assert_eq!(client.alpn_protocol(), expected);
            }
        }
    }

    #[test]
    fn the_modern_profile_speaks_nothing_before_1_3() {
        let scratch = Scratch::new();
        let certificate = development(&scratch.0, &[]).unwrap();
        let store = Arc::new(Store::new(vec![certificate.clone()]));
        let server = server_config(store, TlsProfile::Modern, None);
        handshake(client(&certificate, &version::TLS13, &[]), &server, "localhost");
        let mut old = ClientConnection::new(
            client(&certificate, &version::TLS12, &[]),
            ServerName::try_from("localhost").unwrap(),
        )
        .unwrap();
        let mut hello = Vec::new();
        old.write_tls(&mut hello).unwrap();
        let mut server = ServerConnection::new(server).unwrap();
        server.read_tls(&mut &hello[..]).unwrap();
        assert!(server.process_new_packets().is_err());
    }

    #[test]
    fn a_client_that_returns_resumes_its_session() {
        let scratch = Scratch::new();
        let certificate = development(&scratch.0, &[]).unwrap();
        let server = intermediate(Store::new(vec![certificate.clone()]));
        for version in [&version::TLS12, &version::TLS13] {
            let config = client(&certificate, version, &["h2"]);
            let (first, _) = handshake(Arc::clone(&config), &server, "localhost");
            assert_eq!(first.handshake_kind(), Some(HandshakeKind::Full));
            let (second, _) = handshake(config, &server, "localhost");
            assert_eq!(second.handshake_kind(), Some(HandshakeKind::Resumed));
        }
    }

    #[test]
    fn the_client_gets_the_certificate_of_the_name_it_asks_for() {
        let scratch = Scratch::new();
        let one = development(&scratch.0.join("one"), &[]).unwrap();
        let two = development(&scratch.0.join("two"), &["*.shop.example".to_owned()]).unwrap();
        let server = intermediate(Store::new(vec![one.clone(), two.clone()]));
        let (client_end, _) = handshake(client(&two, &version::TLS13, &[]), &server, "www.shop.example");
        assert_eq!(client_end.peer_certificates().unwrap(), two.key.cert);
        // An address is never sent as a name: the default it is.
        let (client_end, _) = handshake(client(&one, &version::TLS13, &[]), &server, "127.0.0.1");
        assert_eq!(client_end.peer_certificates().unwrap(), one.key.cert);
    }
}
