//! HTTP/1.x connections: reads each request header under one deadline, has its raw bytes checked,
//! and gives them to a session.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use arc_swap::Cache;
use bytes::{Buf as _, BytesMut};
use pingora_core::protocols::Stream;
use pingora_core::protocols::http::server::Session as ServerSession;
use tidegate_contract::Cause;
use tokio::io::{AsyncRead as _, AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::debug;

use super::bare::{Bare, asks_to_close};
use super::exchange::{Exchange, Reusable, Session};
use super::full::Full;
use super::gate::Gate;
use super::patience::Alarm;
use super::watched::Watched;
use crate::header_end;
use crate::listener::Origin;
use crate::listener::places::Place;
use crate::listener::stream::{ClientStream, Hold, close_lingering};
use crate::request::error::Failure;
use crate::request::guard::{Framing, Shape};
use crate::request::{self, guard};
use crate::shared::{Live, Shared};

/// First size of the buffer for a header.
const HEADER_BUFFER: usize = 2 << 10;

/// How long a connection that has nothing to do is kept when it should end, for a request that is on its way already
/// and would be lost: it is answered, and told that it was the last.
const PARTING: Duration = Duration::from_millis(500);

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
    let mut stopping = shutdown.clone();
    // One wait for all of the connection's requests.
    let mut stopped = pin!(async move { drop(shutdown.wait_for(|stop| *stop).await) });
    let mut alarm = Alarm::default();
    // What is in force costs requests nothing that do not find it changed.
    let mut live = Cache::new(&shared.live);
    let mut stream: Stream = Box::new(Watched::new(stream, gate.clone(), None));
    let mut buffer = BytesMut::new();
    let mut first = true;
    loop {
        // Until the header is here: a reload during the wait is for the request that ends it.
        let limits = &live.load().site.limits;
        // A new connection has the header's time for its first byte too.
        let idle = if first { limits.header_timeout } else { limits.keep_alive };
        if !first && buffer.is_empty() {
            place.idle();
        }
        first = false;
        let read = Reading { stream: &mut stream, buffer: &mut buffer, place: &place, limits, idle, alarm: &mut alarm };
        let (end, shape) = match read.header(stopped.as_mut()).await {
            Ok(Header::Complete { end, shape }) => (end, shape),
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
        };
        // Boxed, so that a connection that waits for its next request does not hold the room for one.
        let request = Request {
            stream,
            buffer,
            end,
            shape,
            stopping,
            hold: &hold,
            gate: &gate,
            origin: &origin,
            shared: &shared,
            live: live.load(),
        };
        let Some(next) = Box::pin(request.serve()).await else { return };
        Reusable { stream, rest: buffer, stopping } = next;
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
    end: usize,
    shape: Shape,
    stopping: watch::Receiver<bool>,
    hold: &'a Hold,
    gate: &'a Gate,
    origin: &'a Origin,
    shared: &'a Arc<Shared>,
    live: &'a Live,
}

impl Request<'_> {
    /// Answers it. Gives the connection back if there may be another request.
    async fn serve(self) -> Option<Reusable> {
        let Self { stream, buffer, end, shape, stopping, hold, gate, origin, shared, live } = self;
        hold.set(false);
        let (session, keep_alive) = match Bare::new(stream, buffer, end, shape) {
            Ok(bare) => {
                let keep_alive = bare.wants_more();
                (Session::Bare(Box::new(bare)), keep_alive)
            }
            Err((stream, buffer)) => {
                if shape.framing == Framing::Chunked {
                    gate.watch(&buffer[end..]);
                }
                let connection = (hold.clone(), gate.clone());
                let (full, keep_alive) = Box::pin(full(stream, buffer, connection, origin, shared)).await?;
                (Session::Full(full), keep_alive)
            }
        };
        let mut exchange = Exchange::new(session, &live.site.limits, keep_alive, stopping);
        if request::answer(&mut exchange, origin, shared, live).await {
            return exchange.finish().await;
        }
        exchange.abort();
        None
    }
}

/// A session of pingora that has read the request, and whether the client wants to ask for more.
async fn full(
    stream: Stream,
    buffer: BytesMut,
    connection: (Hold, Gate),
    origin: &Origin,
    shared: &Shared,
) -> Option<(Full, bool)> {
    let mut session = Box::new(ServerSession::new_http1(stream));
    session.set_pipelining_enabled(true);
    session.set_pipelined_prefix(buffer);
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
    // The session knows what the request asks for (HTTP/1.0 has to ask for it to stay).
    let keep_alive = session.get_keepalive().is_some() && !asks_to_close(&session.req_header().headers);
    session.set_keepalive(keep_alive.then_some(0));
    Some((Full::new(session, Some(connection)), keep_alive))
}

/// What came of waiting for a request header.
enum Header {
    /// The buffer holds a whole one up to here, and it passed the guard.
    Complete { end: usize, shape: Shape },
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
    alarm: &'a mut Alarm,
}

impl Reading<'_> {
    async fn header(self, mut stopped: Pin<&mut impl Future<Output = ()>>) -> io::Result<Header> {
        let Self { stream, buffer, place, limits, idle, alarm } = self;
        if buffer.is_empty() {
            let mut end = None;
            let over = poll_fn(|cx| alarm.poll(cx, *end.get_or_insert_with(|| Instant::now() + idle)));
            // The bytes first: what is here already needs no timer.
            let read = tokio::select! {
                biased;
                read = read_some(stream, buffer) => read?,
                () = stopped.as_mut() => match timeout(PARTING.min(idle), read_some(stream, buffer)).await {
                    Ok(read) => read?,
                    Err(_) => 0,
                },
                () = place.asked_to_end() => 0,
                () = over => 0,
            };
            place.busy();
            if read == 0 {
                return Ok(Header::Closed);
            }
        }
        let mut deadline = None;
        let mut searched = 0;
        loop {
            skip_empty_lines(buffer);
            if let Some(end) = header_end::find(buffer, searched) {
                return Ok(match guard::check_raw(&buffer[..end], limits) {
                    Ok(shape) => Header::Complete { end, shape },
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
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + limits.header_timeout);
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

/// Reads what comes next, without a buffer that waits for it: most connections wait most of the time. Cancel-safe.
pub(super) async fn read_some(stream: &mut Stream, buffer: &mut BytesMut) -> io::Result<usize> {
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

/// Whether a line ends in LF alone: its sender will never send the empty line that is waited for.
fn has_bare_line_feed(bytes: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', bytes).any(|at| at > 0 && bytes[at - 1] != b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

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
