//! The endpoint: accepts connections and serves HTTP/1.1 on each: [`bare`] as long as it can, then hyper.

use std::io::Cursor;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tidegate_host::{Audience, Endpoint, LocalListener, LocalStream};
use tokio::io::AsyncReadExt as _;
use tokio::sync::{mpsc, watch};

use super::{bare, service};
use crate::log;
use crate::request::Request;
use crate::shared::Shared;

/// The proxy lets 100 header fields through by default, and its parser 256.
pub(super) const MAX_HEADERS: usize = 256;
/// Head of a request, and read buffer of a body.
pub(super) const MAX_BUFFER: usize = 1 << 20;
/// Pause after a failed accept, so that a lasting failure does not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// An endpoint that accepts connections.
pub(super) struct Server {
    stopping: watch::Sender<bool>,
    /// Ends when the accept loop and every connection have dropped their sender.
    open: mpsc::Receiver<()>,
}

/// What a connection is doing, so that its end can be told to the request's thread.
#[derive(Default)]
pub(super) struct Link {
    /// The latest request that arrived on it.
    pub(super) latest: Mutex<Option<Arc<Request>>>,
}

impl Server {
    /// Binds the endpoint and starts to accept; within the runtime.
    pub(super) fn bind(shared: &'static Shared, endpoint: &Endpoint) -> std::io::Result<Self> {
        let listener = LocalListener::bind(endpoint, Audience::Proxy)?;
        let (stopping, stop) = watch::channel(false);
        let (alive, open) = mpsc::channel(1);
        tokio::spawn(accept(shared, listener, stop, alive));
        Ok(Self { stopping, open })
    }

    /// Accepts nothing more and returns when every connection has finished its response.
    pub(super) async fn finish(mut self) {
        let _ = self.stopping.send(true);
        while self.open.recv().await.is_some() {}
    }
}

async fn accept(
    shared: &'static Shared,
    mut listener: LocalListener,
    mut stop: watch::Receiver<bool>,
    alive: mpsc::Sender<()>,
) {
    loop {
        // Both are cancel-safe.
        let accepted = tokio::select! {
            _ = stop.changed() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(stream) => {
                if let Err(error) = stream.check_client(Audience::Proxy) {
                    log::line(&format!("refused a connection: {error}"));
                    continue;
                }
                tokio::spawn(serve(shared, stream, stop.clone(), alive.clone()));
            }
            Err(error) => {
                log::line(&format!("failed to accept a connection: {error}"));
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(
    shared: &'static Shared,
    stream: LocalStream,
    mut stop: watch::Receiver<bool>,
    _alive: mpsc::Sender<()>,
) {
    let Some((stream, read)) = bare::serve(shared, stream, &mut stop).await else { return };
    let (reader, writer) = tokio::io::split(stream);
    let stream = tokio::io::join(Cursor::new(read).chain(reader), writer);
    let link = Arc::new(Link::default());
    let service = {
        let link = Arc::clone(&link);
        service_fn(move |request| service::serve(shared, Arc::clone(&link), request))
    };
    // No timer: it would close idle connections that the proxy keeps for its next request.
    let connection = http1::Builder::new()
        .half_close(false)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    // Both are cancel-safe; the connection first, since it is what most wake-ups are for.
    tokio::select! {
        biased;
        // How a connection ended is the proxy's to report; here the peer is always the proxy.
        _ = connection.as_mut() => {}
        _ = stop.changed() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.as_mut().await;
        }
    }
    if let Some(request) = link.latest.lock().take() {
        request.client_gone();
    }
}
