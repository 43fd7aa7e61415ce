//! Listening sockets: bind, accept, TLS handshake. Hands every connection to `session`.
//!
//! Our own accept loop, because what pingora's does on Windows (shared port, shallow backlog, no
//! stop but Ctrl-C) is not fit for a server; see docs/architecture.md. A failing connection
//! never ends the loop.

pub(crate) mod stream;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tidegate_site::Protocol;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::{debug, warn};

use self::stream::ClientStream;
use crate::metrics::{Handshake, ListenerMetrics};
use crate::session;
use crate::shared::Shared;

/// Wait after an accept error that says the system is short of something.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// A bound listener, before it serves.
#[derive(Debug)]
pub(crate) struct Bound {
    socket: TcpListener,
    /// The address with its real port.
    pub(crate) address: SocketAddr,
    /// What is spoken on it.
    pub(crate) protocol: Protocol,
}

/// Binds one of the site's listeners.
pub(crate) fn bind(listener: &tidegate_site::Listener) -> io::Result<Bound> {
    let socket = TcpListener::from_std(tidegate_host::listen_tcp(listener.address)?)?;
    let address = socket.local_addr()?;
    Ok(Bound { socket, address, protocol: listener.protocol })
}

/// A redirect to an HTTPS listener whose port the system chose names the port it got.
pub(crate) fn resolve_redirects(bound: &mut [Bound]) {
    let https =
        bound.iter().find(|listener| listener.protocol == Protocol::Https).map(|listener| listener.address.port());
    for listener in bound {
        if let (Protocol::Redirect { https_port: 0 }, Some(https_port)) = (listener.protocol, https) {
            listener.protocol = Protocol::Redirect { https_port };
        }
    }
}

/// Handshakes that have their turn at once.
pub(crate) const HANDSHAKES: usize = 128;
/// How long a turn lasts.
const HANDSHAKE_TURN: Duration = Duration::from_millis(200);

/// Everything a connection's task carries about where it came in.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    /// The client's address.
    pub(crate) peer: SocketAddr,
    /// The listener's port.
    pub(crate) port: u16,
    /// What is spoken on the listener.
    pub(crate) protocol: Protocol,
}

impl Bound {
    /// Accepts until shutdown. Every connection has a permit of the connection limit; without
    /// one the loop does not accept, and the backlog holds the newcomers.
    pub(crate) async fn serve(self, shared: Arc<Shared>, tls: TlsAcceptor, mut shutdown: watch::Receiver<bool>) {
        let metrics = shared.metrics.listener(&self.address.to_string());
        loop {
            // Both futures are cancel-safe: a permit or connection not returned is not taken.
            let accepted = tokio::select! {
                accepted = async {
                    let permit = Arc::clone(&shared.connections).acquire_owned().await;
                    (permit, self.socket.accept().await)
                } => accepted,
                _ = shutdown.wait_for(|stop| *stop) => return,
            };
            let (Ok(permit), accepted) = accepted else { return };
            match accepted {
                Ok((stream, peer)) => {
                    let origin = Origin { peer: canonical(peer), port: self.address.port(), protocol: self.protocol };
                    let connection = Accepted { stream, origin, metrics: Arc::clone(&metrics), permit };
                    let tls = (self.protocol == Protocol::Https).then(|| tls.clone());
                    let shared = Arc::clone(&shared);
                    let shutdown = shutdown.clone();
                    // Owned by `Shared::tasks`, which shutdown waits for.
                    let task = shared.tasks.begin();
                    tokio::spawn(async move {
                        connection.serve(shared, tls, shutdown).await;
                        drop(task);
                    });
                }
                Err(error) if is_of_one_connection(&error) => {
                    debug!(%error, "a connection ended before it was accepted")
                }
                Err(error) => {
                    warn!(%error, listener = %self.address, "accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// A connection that was just accepted.
struct Accepted {
    stream: TcpStream,
    origin: Origin,
    metrics: Arc<ListenerMetrics>,
    permit: OwnedSemaphorePermit,
}

impl Accepted {
    async fn serve(self, shared: Arc<Shared>, tls: Option<TlsAcceptor>, shutdown: watch::Receiver<bool>) {
        let _open = self.metrics.accepted();
        let _permit = self.permit;
        // Without it a response in two writes waits for the client's delayed acknowledgement.
        if let Err(error) = self.stream.set_nodelay(true) {
            debug!(%error, "no TCP_NODELAY");
        }
        let stream = match tls {
            None => ClientStream::plain(self.stream),
            Some(acceptor) => {
                let limit = shared.live.load().site.limits.handshake_timeout;
                match handshake(acceptor, self.stream, limit, &shared.handshakes).await {
                    Ok(stream) => {
                        self.metrics.handshake(Handshake::Ok);
                        ClientStream::tls(stream)
                    }
                    Err(Some(error)) => {
                        self.metrics.handshake(Handshake::Failed);
                        debug!(%error, client = %self.origin.peer, "TLS handshake failed");
                        return;
                    }
                    Err(None) => {
                        self.metrics.handshake(Handshake::Timeout);
                        debug!(client = %self.origin.peer, "TLS handshake timed out");
                        return;
                    }
                }
            }
        };
        session::serve(stream, self.origin, shared, shutdown).await;
    }
}

/// Shakes hands, in turn: of a thousand clients that arrive at once the first are through before the
/// last have begun, and not all of them late. A client that takes its time gives its turn up, so that
/// slow ones hold nobody back. The error is nothing if the time was over.
async fn handshake(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    limit: Duration,
    turns: &Arc<Semaphore>,
) -> Result<TlsStream<TcpStream>, Option<io::Error>> {
    // The semaphore is never closed.
    let turn = Arc::clone(turns).acquire_owned().await.ok();
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

/// An IPv4 client on a dual-stack listener is an IPv4 client.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}
