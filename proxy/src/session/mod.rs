//! Sessions with clients: HTTP/1.1 connections and HTTP/2 streams become exchanges, and
//! `request` answers those. The only user of pingora.

mod bare;
mod exchange;
mod full;
mod gate;
mod http1;
mod http2;
mod pace;
mod patience;
mod watched;

use std::sync::Arc;

use tokio::sync::watch;

#[cfg(any(fuzzing, test))]
pub(crate) use self::bare::parse as parse_bare;
pub(crate) use self::exchange::{ClientError, Exchange, Head, Length};
use crate::listener::Origin;
use crate::listener::places::Place;
use crate::listener::stream::ClientStream;
use crate::shared::Shared;

/// Serves a connection until its end, which `shutdown` asks for.
pub(crate) async fn serve(
    stream: ClientStream,
    origin: Origin,
    place: Place,
    shared: Arc<Shared>,
    shutdown: watch::Receiver<bool>,
) {
    if stream.is_http2() {
        // Boxed, so that HTTP/1.1 connections do not hold the room for it.
        Box::pin(http2::serve(stream, origin, place, shared, shutdown)).await;
    } else {
        http1::serve(stream, origin, place, shared, shutdown).await;
    }
}
