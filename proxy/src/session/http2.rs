//! HTTP/2 connections: every stream is an exchange in a task of its own.

use std::sync::Arc;
use std::time::Duration;

use pingora_core::protocols::Digest;
use pingora_core::protocols::http::server::Session as ServerSession;
use pingora_core::protocols::http::v2::server::{H2Accept, HttpSession, default_h2_options, handshake};
use tokio::sync::watch;
use tracing::debug;

use super::exchange::Exchange;
use crate::listener::Origin;
use crate::listener::stream::ClientStream;
use crate::request;
use crate::shared::{Shared, Tasks};

/// Malformed streams after which a connection is given up.
const MALFORMED_STREAMS: u32 = 32;
/// Flow-control window of a stream and of the connection: what an upload may have in flight.
const WINDOWS: (u32, u32) = (256 << 10, 1 << 20);
/// What a stream's response may have waiting for the client.
const SEND_BUFFER: usize = 128 << 10;

/// Serves streams until the connection's end.
pub(super) async fn serve(
    stream: ClientStream,
    origin: Origin,
    shared: Arc<Shared>,
    mut shutdown: watch::Receiver<bool>,
) {
    let limits = shared.live.load().site.limits.clone();
    let mut options = default_h2_options();
    options
        .max_concurrent_streams(limits.http2_streams)
        .max_header_list_size(u32::try_from(limits.header_size).unwrap_or(u32::MAX))
        .initial_window_size(WINDOWS.0)
        .initial_connection_window_size(WINDOWS.1)
        .max_send_buffer_size(SEND_BUFFER);
    let handshake = handshake(Box::new(stream), Some(options));
    let mut connection = match tokio::time::timeout(limits.header_timeout, handshake).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return debug!(%error, client = %origin.peer, "HTTP/2 preface failed"),
        Err(_) => return debug!(client = %origin.peer, "HTTP/2 preface timed out"),
    };
    let digest = Arc::new(Digest::default());
    let streams = Tasks::new();
    let mut malformed = 0;
    let mut stopping = false;
    loop {
        // Accepting is cancel-safe: it drives the connection and takes a stream only when it
        // returns one.
        let accepted = tokio::select! {
            biased;
            _ = shutdown.wait_for(|stop| *stop), if !stopping => {
                connection.graceful_shutdown();
                stopping = true;
                continue;
            }
            accepted = HttpSession::from_h2_conn(&mut connection, Arc::clone(&digest)) => accepted,
            () = idle(&streams, limits.keep_alive) => {
                if stopping {
                    return;
                }
                // The client learns which of its requests came too late; if it does not answer, the
                // next idle time ends the connection.
                connection.graceful_shutdown();
                stopping = true;
                continue;
            }
        };
        match accepted {
            Ok(Some(H2Accept::Session(session))) => {
                let origin = origin.clone();
                let shared = Arc::clone(&shared);
                let stream = streams.begin();
                let stopping = shutdown.clone();
                let task = shared.tasks.begin();
                tokio::spawn(async move {
                    let live = shared.live.load_full();
                    let patience = live.site.limits.client_timeout;
                    let exchange = Exchange::new(ServerSession::new_http2(session), None, patience, true, stopping);
                    if let Some(exchange) = request::answer(exchange, &origin, &shared, live).await {
                        exchange.finish().await;
                    }
                    drop((stream, task));
                });
            }
            Ok(Some(H2Accept::Rejected)) => {
                malformed += 1;
                if malformed > MALFORMED_STREAMS {
                    return debug!(client = %origin.peer, "too many malformed HTTP/2 streams");
                }
            }
            Ok(None) => return,
            Err(error) => return debug!(%error, client = %origin.peer, "HTTP/2 connection failed"),
        }
    }
}

/// Resolves when no stream has been open for `time`.
async fn idle(streams: &Tasks, time: Duration) {
    streams.ended().await;
    tokio::time::sleep(time).await;
}
