//! The accept loop of one listener. A failing connection never ends it.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tracing::{debug, warn};

use super::Origin;
use super::addresses::Counted;
use super::connection::Accepted;
use super::service::Service;
use crate::metrics::ListenerMetrics;
use crate::shared::Shared;

/// Wait after an accept error that says the system is short of something.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// A socket that listens.
#[derive(Debug)]
pub(super) struct Bound {
    socket: TcpListener,
    /// Its address, with the port that the system chose if none was named.
    pub(super) address: SocketAddr,
    /// Whether it is the service manager's, which listens on when this process does not.
    pub(super) given: bool,
}

impl Bound {
    /// The one that the service manager holds for this address, or else a new one.
    pub(super) fn new(address: SocketAddr) -> io::Result<Self> {
        let (socket, given) = match tidegate_host::given_listener(address) {
            Some(socket) => (socket?, true),
            None => (tidegate_host::listen_tcp(address)?, false),
        };
        let socket = TcpListener::from_std(socket)?;
        Ok(Self { address: socket.local_addr()?, socket, given })
    }
}

/// Accepts until told to stop, and then what has arrived already, unless it can wait for the next proxy.
pub(super) async fn serve(
    bound: Bound,
    service: Arc<ArcSwap<Service>>,
    shared: Arc<Shared>,
    mut stop: watch::Receiver<bool>,
) {
    let Bound { socket, address, given } = bound;
    let metrics = shared.metrics.listener(&address.to_string());
    let door = Door { address, service, shared, metrics };
    loop {
        // All futures are cancel-safe: a place is taken by a connection only, and a connection that is not
        // returned stays with the system.
        let accepted = tokio::select! {
            accepted = async {
                door.shared.places.room(&door.metrics).await;
                socket.accept().await
            } => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        if let Err(error) = door.enter(accepted) {
            warn!(%error, listener = %address, "accept failed");
            tokio::time::sleep(ACCEPT_PAUSE).await;
        }
    }
    if given {
        return;
    }
    // The system has shaken hands with these: closing now would reset them.
    let mut context = Context::from_waker(Waker::noop());
    while let Poll::Ready(accepted @ Ok(_)) = pin!(socket.accept()).as_mut().poll(&mut context) {
        // Each is one that was accepted.
        let _ = door.enter(accepted);
    }
}

struct Door {
    address: SocketAddr,
    service: Arc<ArcSwap<Service>>,
    shared: Arc<Shared>,
    metrics: Arc<ListenerMetrics>,
}

impl Door {
    /// Serves a connection in a task of its own. An error is one of the listener, not of a connection.
    fn enter(&self, accepted: io::Result<(TcpStream, SocketAddr)>) -> io::Result<()> {
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_of_one_connection(&error) => {
                debug!(%error, "a connection ended before it was accepted");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let service = self.service.load_full();
        let peer = canonical(peer);
        let shared = Arc::clone(&self.shared);
        let place = shared.places.enter();
        // A balancer speaks for many; its clients are counted when it has named them.
        let counted = if service.balancers.is_empty() { count(&shared, &self.metrics, peer) } else { Some(None) };
        let Some(address) = counted else { return Ok(()) };
        let origin = Origin { peer, port: self.address.port(), protocol: service.protocol, client_certificate: None };
        let connection = Accepted { stream, origin, service, metrics: Arc::clone(&self.metrics), place, address };
        // Owned by `Shared::tasks`, which shutdown waits for.
        let task = shared.tasks.begin();
        tokio::spawn(async move {
            connection.serve(shared).await;
            drop(task);
        });
        Ok(())
    }
}

/// Counts a connection of this client; nothing if it has too many.
pub(super) fn count(shared: &Shared, metrics: &ListenerMetrics, peer: SocketAddr) -> Option<Option<Counted>> {
    let live = shared.live.load();
    let limit = live.site.limits.connections_per_address;
    match shared.addresses.enter(peer.ip(), limit, &live.site.trusted_proxies) {
        Ok(address) => Some(address),
        Err(full) => {
            metrics.refused();
            debug!(client = %peer, limit = full.0, "connection refused: limits.connections_per_address");
            None
        }
    }
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
