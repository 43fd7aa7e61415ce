//! HTTP/2 connections: every stream is an exchange in a task of its own. What a client may cost is bounded
//! here and by the `h2` crate; a client that goes too far is told so (GOAWAY) and disconnected.

mod meter;

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use h2::server::Connection;
use pingora_core::protocols::http::server::Session as ServerSession;
use pingora_core::protocols::http::v2::server::{H2Accept, HttpSession, default_h2_options, handshake};
use pingora_core::protocols::{Digest, Stream};
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::debug;

use self::meter::{Meter, Over};
use super::exchange::{Exchange, Session};
use super::full::Full;
use super::pace::Pace;
use super::watched::Watched;
use crate::listener::Origin;
use crate::listener::places::Place;
use crate::listener::stream::ClientStream;
use crate::metrics::Ended;
use crate::request;
use crate::shared::{Shared, Tasks};

/// Malformed streams after which a connection is given up.
const MALFORMED_STREAMS: u32 = 32;
/// Streams that the client resets before they were looked at; as many are opened in one breath.
const PENDING_RESETS: usize = 64;
/// Streams that were reset for an error of the client's, after which the connection is given up.
const ERROR_RESETS: usize = 256;
/// For the last frame to a client that went too far.
const FAREWELL: Duration = Duration::from_secs(2);
/// Flow-control window of a stream and of the connection: what an upload may have in flight.
const WINDOWS: (u32, u32) = (256 << 10, 1 << 20);
/// What a stream's response may have waiting for the client.
const SEND_BUFFER: usize = 128 << 10;

/// Serves streams until the connection's end.
pub(super) async fn serve(
    stream: ClientStream,
    origin: Origin,
    place: Place,
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
        .max_send_buffer_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(PENDING_RESETS)
        .max_local_error_reset_streams(Some(ERROR_RESETS));
    let over = Over::default();
    let stream =
        Watched::new(stream, Meter::new(over.clone()), Some(Pace::new(limits.min_send_rate, limits.client_timeout)))
            .gathering();
    let handshake = handshake(Box::new(stream), Some(options));
    let mut connection = match timeout(limits.header_timeout, handshake).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return debug!(%error, client = %origin.peer, "HTTP/2 preface failed"),
        Err(_) => return debug!(client = %origin.peer, "HTTP/2 preface timed out"),
    };
    let digest = Arc::new(Digest::default());
    let streams = Tasks::new();
    let mut malformed = 0;
    let stopping = shutdown.clone();
    // One wait for as long as the connection lives.
    let mut stopped = pin!(async move { drop(shutdown.wait_for(|stop| *stop).await) });
    let mut is_stopping = false;
    loop {
        // Accepting is cancel-safe: it drives the connection and takes a stream only when it
        // returns one.
        let accepted = tokio::select! {
            biased;
            () = stopped.as_mut(), if !is_stopping => {
                connection.graceful_shutdown();
                is_stopping = true;
                continue;
            }
            accepted = unless(&over, HttpSession::from_h2_conn(&mut connection, Arc::clone(&digest))) => accepted,
            () = idle(&streams, &place, limits.keep_alive) => {
                if is_stopping {
                    return;
                }
                // The client learns which of its requests came too late; if it does not answer, the
                // next idle time ends the connection.
                connection.graceful_shutdown();
                is_stopping = true;
                continue;
            }
        };
        let Some(accepted) = accepted else {
            shared.metrics.http.http2_ended(Ended::Flood);
            return disconnect(connection, &origin, Ended::Flood).await;
        };
        match accepted {
            Ok(Some(H2Accept::Session(session))) => {
                place.busy();
                let session = Full::new(Box::new(ServerSession::new_http2(session)), None);
                let (origin, shared, stopping) = (origin.clone(), Arc::clone(&shared), stopping.clone());
                let running = (streams.begin(), shared.tasks.begin());
                tokio::spawn(async move {
                    // Boxed: a task is moved several times before and after it runs, whatever its size.
                    Box::pin(answer(session, &origin, &shared, stopping)).await;
                    drop(running);
                });
            }
            Ok(Some(H2Accept::Rejected)) => {
                malformed += 1;
                if malformed > MALFORMED_STREAMS {
                    shared.metrics.http.http2_ended(Ended::Malformed);
                    return disconnect(connection, &origin, Ended::Malformed).await;
                }
            }
            Ok(None) => return,
            Err(error) => {
                if let Some(reason) = fault(&error) {
                    shared.metrics.http.http2_ended(reason);
                }
                return debug!(%error, client = %origin.peer, "HTTP/2 connection failed");
            }
        }
    }
}

/// Answers what a stream asks for.
async fn answer(session: Full, origin: &Origin, shared: &Arc<Shared>, stopping: watch::Receiver<bool>) {
    let live = shared.live.load_full();
    let mut exchange = Exchange::new(Session::Full(session), &live.site.limits, true, stopping);
    if request::answer(&mut exchange, origin, shared, &live).await {
        exchange.finish().await;
    } else {
        exchange.abort();
    }
}

/// The future's result, or nothing when the client has gone too far. Cancel-safe if the future is.
async fn unless<T>(over: &Over, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(result) => Poll::Ready(Some(result)),
        Poll::Pending if over.is_set() => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    })
    .await
}

/// Ends a connection at once, streams and all, with a last word to the client if it still reads.
async fn disconnect(mut connection: Connection<Stream, Bytes>, origin: &Origin, why: Ended) {
    debug!(client = %origin.peer, reason = why.label(), "HTTP/2 connection ended");
    connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
    // Whatever fails here, the connection is dropped next.
    let _ = timeout(FAREWELL, poll_fn(|cx| connection.poll_closed(cx))).await;
}

/// What a client did that ended its connection; nothing if it only went away.
fn fault(error: &pingora_core::Error) -> Option<Ended> {
    let error = error.root_cause().downcast_ref::<h2::Error>()?;
    if error.get_io().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut) {
        return Some(Ended::Stalled);
    }
    (error.is_go_away() && error.is_library()).then_some(Ended::Protocol)
}

/// Resolves when no stream has been open for `time`, or none is and another connection needs the place.
async fn idle(streams: &Tasks, place: &Place, time: Duration) {
    streams.ended().await;
    place.idle();
    // Not being asked is no reason to end.
    let _ = tokio::time::timeout(time, place.asked_to_end()).await;
}
