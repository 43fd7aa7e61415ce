//! A connection from its accept to its session: TCP options, TLS handshake in turn, the client's certificate.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tidegate_contract::ClientCertificate;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::debug;

use super::addresses::Counted;
use super::places::Place;
use super::service::Service;
use super::stream::ClientStream;
use super::{Origin, accept, proxy_protocol};
use crate::metrics::{Handshake, ListenerMetrics};
use crate::session;
use crate::shared::Shared;

/// Handshakes that have their turn at once.
pub(crate) const HANDSHAKES: usize = 128;
/// How long a turn lasts.
const HANDSHAKE_TURN: Duration = Duration::from_millis(200);

/// A connection that was just accepted.
pub(super) struct Accepted {
    pub(super) stream: TcpStream,
    pub(super) origin: Origin,
    pub(super) service: Arc<Service>,
    pub(super) metrics: Arc<ListenerMetrics>,
    pub(super) place: Place,
    pub(super) address: Option<Counted>,
}

impl Accepted {
    /// Serves it until its end.
    pub(super) async fn serve(self, shared: Arc<Shared>) {
        let Self { mut stream, mut origin, service, metrics, place, address } = self;
        let _open = metrics.accepted();
        let _counted = if service.balancers.is_empty() {
            address
        } else {
            match proxy_protocol::client(&mut stream, origin.peer, &service.balancers).await {
                Ok(client) => origin.peer = client,
                Err(error) => return error.log(origin.peer),
            }
            let Some(counted) = accept::count(&shared, &metrics, origin.peer) else { return };
            counted
        };
        // Without it a response in two writes waits for the client's delayed acknowledgement.
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "no TCP_NODELAY");
        }
        let stream = match &service.tls {
            None => ClientStream::plain(stream),
            Some(config) => {
                let limit = shared.live.load().site.limits.handshake_timeout;
                // Boxed, so that its room is free again afterwards.
                match Box::pin(handshake(config, stream, limit, &shared.handshakes)).await {
                    Ok(stream) => {
                        metrics.handshake(Handshake::Ok);
                        if service.asks_clients {
                            origin.client_certificate = Some(Arc::new(client_certificate(&stream)));
                        }
                        ClientStream::tls(stream)
                    }
                    Err(Some(error)) => {
                        metrics.handshake(Handshake::Failed);
                        debug!(%error, client = %origin.peer, "TLS handshake failed");
                        return;
                    }
                    Err(None) => {
                        metrics.handshake(Handshake::Timeout);
                        debug!(client = %origin.peer, "TLS handshake timed out");
                        return;
                    }
                }
            }
        };
        let retirement = service.retirement();
        drop(service);
        session::serve(stream, origin, place, shared, retirement).await;
    }
}

/// Shakes hands, in turn: of a thousand clients that arrive at once the first are through before the
/// last have begun, and not all of them late. A client that takes its time gives its turn up, so that
/// slow ones hold up nobody. `None`: it took longer than `limit`.
async fn handshake(
    config: &Arc<ServerConfig>,
    stream: TcpStream,
    limit: Duration,
    turns: &Arc<Semaphore>,
) -> Result<TlsStream<TcpStream>, Option<io::Error>> {
    // The semaphore is never closed.
    let turn = Arc::clone(turns).acquire_owned().await.ok();
    let acceptor = TlsAcceptor::from(Arc::clone(config));
    let shake = tokio::time::timeout(limit, acceptor.accept(stream));
    tokio::pin!(shake);
    let done = match tokio::time::timeout(HANDSHAKE_TURN, &mut shake).await {
        Ok(done) => done,
        Err(_) => {
            drop(turn);
            shake.await
        }
    };
    done.map_err(|_| None)?.map_err(Some)
}

/// What the handshake has verified; on a resumed session what the first one did.
fn client_certificate(stream: &TlsStream<TcpStream>) -> ClientCertificate {
    let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let identity = certificates.first().and_then(|certificate| tidegate_certs::identify(certificate));
    match identity {
        None => ClientCertificate::None,
        Some(identity) => ClientCertificate::Verified {
            subject: identity.subject,
            common_name: identity.common_name.unwrap_or_default(),
            issuer: identity.issuer,
            serial: identity.serial,
            fingerprint: identity.fingerprint,
        },
    }
}
