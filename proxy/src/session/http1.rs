//! HTTP/1.x connections: reads each request header under one deadline, has its raw bytes checked,
//! and gives them to a pingora session.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use memchr::memmem;
use pingora_core::protocols::Stream;
use pingora_core::protocols::http::server::Session as ServerSession;
use tidegate_contract::Cause;
use tokio::io::{AsyncRead as _, AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::debug;

use super::exchange::Exchange;
use super::gate::Gate;
use super::watched::Watched;
use crate::listener::Origin;
use crate::listener::places::Place;
use crate::listener::stream::{ClientStream, Hold, close_lingering};
use crate::request::error::Failure;
use crate::request::guard::Framing;
use crate::request::{self, guard};
use crate::shared::Shared;

/// First size of the buffer for a header.
const HEADER_BUFFER: usize = 2 << 10;

/// Serves requests until the connection's end.
pub(super) async fn serve(
    stream: ClientStream,
    origin: Origin,
    place: Place,
    shared: Arc<Shared>,
    mut shutdown: watch::Receiver<bool>,
) {
    let hold = stream.hold();
    let gate = Gate::default();
    let mut stream: Stream = Box::new(Watched::new(stream, gate.clone(), None));
    let mut buffer = BytesMut::new();
    let mut first = true;
    loop {
        // Until the header is here: a reload during the wait is for the request that ends it.
        let waiting = shared.live.load_full();
        let limits = &waiting.site.limits;
        // A new connection has the header's time for its first byte too.
        let idle = if first { limits.header_timeout } else { limits.keep_alive };
        if !first && buffer.is_empty() {
            place.idle();
        }
        first = false;
        let read = Reading { stream: &mut stream, buffer: &mut buffer, place: &place, limits, idle };
        match read.header(&mut shutdown).await {
            Ok(Header::Complete { end, framing: Framing::Chunked }) => gate.watch(&buffer[end..]),
            Ok(Header::Complete { .. }) => {}
            Ok(Header::Closed) => {
                let _ = timeout(limits.client_timeout, stream.shutdown()).await;
                return;
            }
            Ok(Header::Refused(failure)) => {
                return Box::pin(refuse(stream, &failure, limits, &origin, &shared)).await;
            }
            Err(error) => {
                debug!(%error, client = %origin.peer, "connection failed");
                return;
            }
        }
        // Boxed, so that a connection that waits for its next request does not hold the room for one.
        let request = Request { stream, buffer, hold: &hold, gate: &gate, origin: &origin, shared: &shared };
        let Some((next, rest)) = Box::pin(request.serve(&shutdown)).await else { return };
        (stream, buffer) = (next, rest);
    }
}

/// Tells the client why its request is not served, and ends the connection.
async fn refuse(
    mut stream: Stream,
    failure: &Failure,
    limits: &tidegate_site::Limits,
    origin: &Origin,
    shared: &Shared,
) {
    let refusal = request::refuse_unread(failure, origin, shared);
    let write = async {
        stream.write_all(&refusal).await?;
        stream.flush().await
    };
    if timeout(limits.client_timeout, write).await.is_ok_and(|written| written.is_ok()) {
        close_lingering(&mut stream).await;
    }
}

/// A request whose header is in the buffer, on its connection.
struct Request<'a> {
    stream: Stream,
    buffer: BytesMut,
    hold: &'a Hold,
    gate: &'a Gate,
    origin: &'a Origin,
    shared: &'a Arc<Shared>,
}

impl Request<'_> {
    /// Answers it. Gives the connection back, with what it has read beyond, if there may be another request.
    async fn serve(mut self, shutdown: &watch::Receiver<bool>) -> Option<(Stream, BytesMut)> {
        let Self { origin, shared, .. } = self;
        let mut session = ServerSession::new_http1(self.stream);
        session.set_pipelining_enabled(true);
        session.set_pipelined_prefix(self.buffer.split());
        let refused = match session.read_request().await {
            Ok(true) => None,
            Ok(false) => return None,
            // Whatever the guard let through and pingora does not; its session is not usable then.
            Err(error) => Some(error),
        };
        if let Some(error) = refused {
            debug!(%error, client = %origin.peer, "request header refused");
            shared.metrics.http.failed(Cause::BadRequest);
            return None;
        }
        let live = shared.live.load_full();
        // The session knows what the request asks for (HTTP/1.0 has to ask for it to stay).
        let keep_alive = session.get_keepalive().is_some() && !*shutdown.borrow();
        session.set_keepalive(keep_alive.then_some(0));
        let switches = Some((self.hold.clone(), self.gate.clone()));
        let exchange = Exchange::new(session, switches, &live.site.limits, keep_alive, shutdown.clone());
        let exchange = request::answer(exchange, origin, shared, live).await?;
        let (next, rest) = exchange.finish().await?.into_parts();
        Some((next, rest.unwrap_or_default()))
    }
}

/// What came of waiting for a request header.
enum Header {
    /// The buffer holds a whole one up to here, and it passed the guard.
    Complete { end: usize, framing: Framing },
    /// The client closed or kept silent between requests, or the proxy stops.
    Closed,
    /// It cannot be served.
    Refused(Failure),
}

struct Reading<'a> {
    stream: &'a mut Stream,
    buffer: &'a mut BytesMut,
    place: &'a Place,
    limits: &'a tidegate_site::Limits,
    idle: Duration,
}

impl Reading<'_> {
    async fn header(self, shutdown: &mut watch::Receiver<bool>) -> io::Result<Header> {
        let Self { stream, buffer, place, limits, idle } = self;
        if buffer.is_empty() {
            let read = tokio::select! {
                read = timeout(idle, first_bytes(stream, buffer)) => read,
                _ = shutdown.wait_for(|stop| *stop) => return Ok(Header::Closed),
                () = place.asked_to_end() => return Ok(Header::Closed),
            };
            place.busy();
            match read {
                Err(_) | Ok(Ok(0)) => return Ok(Header::Closed),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(error),
            }
        }
        let deadline = Instant::now() + limits.header_timeout;
        let mut searched = 0;
        loop {
            skip_empty_lines(buffer);
            if let Some(end) = find_end(buffer, searched) {
                return Ok(match guard::check_raw(&buffer[..end], limits) {
                    Ok(framing) => Header::Complete { end, framing },
                    Err(failure) => Header::Refused(failure),
                });
            }
            if has_bare_line_feed(&buffer[searched.saturating_sub(1)..]) {
                return Ok(Header::Refused(Failure::bad_request("line without CR before LF")));
            }
            if buffer.len() > limits.header_size {
                return Ok(Header::Refused(Failure::header_too_large("header over its limit")));
            }
            searched = buffer.len();
            buffer.reserve(HEADER_BUFFER);
            match timeout_at(deadline, stream.read_buf(buffer)).await {
                Ok(Ok(0)) => return Ok(Header::Closed),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(error),
                Err(_) => {
                    return Ok(Header::Refused(Failure::new(Cause::ClientTimeout, "header took too long")));
                }
            }
        }
    }
}

/// Reads what comes first, without a buffer that waits for it: most connections are idle most of the time. Cancel-safe.
async fn first_bytes(stream: &mut Stream, buffer: &mut BytesMut) -> io::Result<usize> {
    poll_fn(|cx| {
        let mut space = [MaybeUninit::uninit(); HEADER_BUFFER];
        let mut read = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut *stream).poll_read(cx, &mut read))?;
        buffer.extend_from_slice(read.filled());
        Poll::Ready(Ok(read.filled().len()))
    })
    .await
}

/// RFC 9112 section 2.2: empty lines before a request line are ignored.
fn skip_empty_lines(buffer: &mut BytesMut) {
    while buffer.starts_with(b"\r\n") {
        buffer.advance(2);
    }
}

/// Where the header ends, its empty line included. `searched` bytes are known to hold no end.
fn find_end(buffer: &[u8], searched: usize) -> Option<usize> {
    let from = searched.saturating_sub(3).min(buffer.len());
    memmem::find(&buffer[from..], b"\r\n\r\n").map(|at| from + at + 4)
}

/// Whether a line ends in LF alone: its sender will never send the empty line that is waited for.
fn has_bare_line_feed(bytes: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', bytes).any(|at| at > 0 && bytes[at - 1] != b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_found_over_the_seam_of_two_reads() {
        let header = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nbody";
        for searched in 0..header.len() - 7 {
            assert_eq!(find_end(header, searched), Some(header.len() - 4), "{searched}");
        }
        assert_eq!(find_end(b"GET / HTTP/1.1\r\n", 0), None);
    }

    #[test]
    fn a_bare_line_feed_is_seen() {
        for (bytes, bare) in [(&b"a\r\nb"[..], false), (b"a\nb", true), (b"\n", false), (b"a\r\n\n", true)] {
            assert_eq!(has_bare_line_feed(bytes), bare, "{bytes:?}");
        }
    }

    #[test]
    fn empty_lines_before_a_request_are_skipped() {
        let mut buffer = BytesMut::from(&b"\r\n\r\nGET"[..]);
        skip_empty_lines(&mut buffer);
        assert_eq!(&buffer[..], b"GET");
    }
}
