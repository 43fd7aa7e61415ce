//! TLS settings of the listeners.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::ServerSessionMemoryCache;

use crate::Store;

/// Sessions kept for clients that resume without tickets. Few do; each takes about a kilobyte.
const SESSIONS: usize = 4096;

/// TLS 1.2 and 1.3 with the certificates of `store`, HTTP/2 before HTTP/1.1.
pub fn server_config(store: Arc<Store>) -> Arc<ServerConfig> {
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    #[expect(
        clippy::expect_used,
        reason = "fails only for a provider without a cipher suite of a version; ring has both"
    )]
    let builder = builder.with_safe_default_protocol_versions().expect("ring serves TLS 1.2 and 1.3");
    let mut config = builder.with_no_client_auth().with_cert_resolver(store);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ignore_client_order = true;
    config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
    // Fails only if the system has no randomness; then sessions are remembered here only.
    if let Ok(ticketer) = ring::Ticketer::new() {
        config.ticketer = ticketer;
    }
    Arc::new(config)
}
