//! A connection whose requests have no body, which is most: read here, answered by the Python thread itself through
//! [`Wire`]. At the first request of another kind the connection goes to hyper. Speaks HTTP/1.1 (RFC 9112) to the proxy, and
//! whoever comes past it. Never runs Python.

use std::future::poll_fn;
use std::io::Write as _;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http_body::Frame;
use tidegate_contract::Cause;
use tidegate_host::{LocalReader, LocalStream};
use tokio::io::AsyncReadExt as _;
use tokio::sync::watch;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, Sleep, sleep_until};

use super::ReplyTo;
use super::body::Unfinished;
use super::connection::MAX_BUFFER;
use super::head::{self, Framing, Head};
use super::service::{self, failure};
use super::wire::{Answer, Flow, Found, Wire};
use crate::request::{Body, Job, Request};
use crate::shared::Shared;

/// What is read at once.
const READ: usize = 8 << 10;
/// A chunk from this size on is written without being copied.
const LARGE_CHUNK: usize = 256 << 10;
/// Small chunks that are written together.
const GATHERED: usize = 64 << 10;

/// Serves a connection. Returns it with what was read from it when it is to be hyper's.
pub(super) async fn serve(
    shared: &'static Shared,
    stream: LocalStream,
    stop: &mut watch::Receiver<bool>,
) -> Option<(LocalStream, Bytes)> {
    let (reader, writer) = stream.into_halves();
    let mut connection = Connection {
        shared,
        reader,
        link: Link { wire: Arc::new(Wire::new(writer)), latest: None },
        buffer: BytesMut::new(),
        fresh: false,
        searched: 0,
        number: 0,
        deadline: None,
        timer: None,
        stopping: false,
        last: false,
    };
    if connection.run(stop).await {
        return None;
    }
    let Connection { reader, mut link, buffer, .. } = connection;
    // It is answered.
    link.latest = None;
    let mut wire = Arc::clone(&link.wire);
    drop(link);
    // The thread that has just answered may be about to let go of it.
    let wire = loop {
        match Arc::try_unwrap(wire) {
            Ok(wire) => break wire,
            Err(shared) => wire = shared,
        }
        tokio::task::yield_now().await;
    };
    let stream = LocalStream::from_halves(reader, wire.into_writer()).ok()?;
    Some((stream, buffer.freeze()))
}

/// The connection as Python threads know it, whose end they learn of.
struct Link {
    wire: Arc<Wire>,
    /// The latest request.
    latest: Option<Arc<Request>>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.wire.close();
        if let Some(request) = self.latest.take() {
            request.client_gone();
        }
    }
}

struct Connection {
    shared: &'static Shared,
    reader: LocalReader,
    link: Link,
    /// What was read and is not taken yet.
    buffer: BytesMut,
    /// Whether anything has been added to it since it was last looked at.
    fresh: bool,
    /// How much of it is known to hold no whole head.
    searched: usize,
    /// Requests so far.
    number: u64,
    /// When the app's time is over, while it has the turn.
    deadline: Option<Instant>,
    /// Runs until the deadline, or that of an earlier request: one that is early is set again when it has run out.
    timer: Option<Pin<Box<Sleep>>>,
    stopping: bool,
    /// Whether the connection ends with the answer that is due.
    last: bool,
}

/// What happens next on a connection.
enum Next {
    Request(Box<Parts>),
    Flow(Flow),
    /// It is hyper's from here on.
    Other,
    End,
}

impl Connection {
    /// Until its end (true), or until it is to be hyper's.
    async fn run(&mut self, stop: &mut watch::Receiver<bool>) -> bool {
        let mut stopped = pin!(stop.changed());
        loop {
            let next = poll_fn(|cx| {
                // A watch that has ended is one that has stopped.
                if !self.stopping && stopped.as_mut().poll(cx).is_ready() {
                    self.stopping = true;
                }
                self.poll_next(cx)
            });
            match next.await {
                Next::Request(head) => self.begin(*head),
                Next::Flow(flow) => {
                    if self.pass_on(flow).await.is_none() {
                        return true;
                    }
                }
                Next::Other => return false,
                Next::End => return true,
            }
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        loop {
            // The next request's bytes before this one's answer: not what the proxy does, and read no further.
            let early = !self.buffer.is_empty();
            let found = self.link.wire.poll(cx, early, self.stopping);
            match found {
                Found::Flow(flow) => return Poll::Ready(Next::Flow(flow)),
                Found::Broken => return Poll::Ready(Next::End),
                Found::Done if self.last => return Poll::Ready(Next::End),
                Found::Done => {
                    if let Some(next) = self.take_head() {
                        return Poll::Ready(next);
                    }
                }
                Found::Asked => {
                    self.last = self.stopping;
                    if self.poll_deadline(cx) {
                        continue;
                    }
                    if early {
                        return Poll::Pending;
                    }
                }
            }
            match self.poll_read(cx) {
                Poll::Ready(Some(())) => {}
                Poll::Ready(None) => return Poll::Ready(Next::End),
                // A request that had come when the stop did is served.
                Poll::Pending if self.stopping && matches!(found, Found::Done) => return Poll::Ready(Next::End),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// What the bytes begin with that are there, once it is whole.
    fn take_head(&mut self) -> Option<Next> {
        if !std::mem::take(&mut self.fresh) {
            return None;
        }
        let searched = std::mem::replace(&mut self.searched, self.buffer.len());
        if searched > 0 && self.buffer.len() <= MAX_BUFFER && !head::may_be_whole(&self.buffer, searched) {
            return None;
        }
        match head::take(&mut self.buffer) {
            Head::Bare(head) => {
                self.fresh = !self.buffer.is_empty();
                self.searched = 0;
                Some(Next::Request(head))
            }
            Head::Partial if self.buffer.len() <= MAX_BUFFER => None,
            Head::Partial | Head::Other => Some(Next::Other),
        }
    }

    /// Reads what is there; nothing at the end.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Option<()>> {
        self.buffer.reserve(READ);
        let read = pin!(self.reader.read_buf(&mut self.buffer)).poll(cx);
        read.map(|read| matches!(read, Ok(1..)).then(|| self.fresh = true))
    }

    /// Gives a request to the app.
    fn begin(&mut self, mut head: Parts) {
        let arrived = std::time::Instant::now();
        let Some((dispatch, direct)) = service::take_dispatch(&mut head) else {
            return self.link.wire.say(failure(Cause::WorkerInvalid, true), &head.method);
        };
        let deadline = arrived + Duration::from_millis(dispatch.timeout_ms);
        let request = Request::new(self.shared, head, Body::Empty, dispatch, direct, arrived);
        self.number += 1;
        self.last = self.stopping;
        self.link.latest = Some(Arc::clone(&request));
        self.deadline = Some(deadline.into());
        self.link.wire.ask(self.number);
        let answer = Answer::new(self.shared, &self.link.wire, self.number, Arc::clone(&request));
        service::follow(self.shared, self.shared.pool.submit(Job { request, reply: ReplyTo::Wire(answer) }));
    }

    /// Answers at the deadline in the app's place. Returns whether it has.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> bool {
        let (Some(deadline), Some(request)) = (self.deadline, &self.link.latest) else { return false };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        while timer.as_mut().poll(cx).is_ready() {
            if timer.deadline() < deadline {
                timer.as_mut().reset(deadline);
                continue;
            }
            self.deadline = None;
            let is_late = self.link.wire.claim(self.number);
            if is_late {
                self.shared.watchdog.timed_out(self.shared, request);
                self.link.wire.say(failure(Cause::WorkerTimeout, request.direct), &request.head.method);
            }
            return is_late;
        }
        false
    }

    /// Writes a response whose body comes bit by bit; nothing if it is cut short.
    async fn pass_on(&mut self, flow: Flow) -> Option<()> {
        let Flow { head, framing, mut body } = flow;
        let wire = Arc::clone(&self.link.wire);
        let mut out = Vec::from(head);
        loop {
            // Others have a turn, too, however fast the app is.
            consume_budget().await;
            let piece = poll_fn(|cx| match body.poll(cx) {
                Poll::Ready(piece) => Poll::Ready(Piece::Next(piece)),
                Poll::Pending if !out.is_empty() => Poll::Ready(Piece::Pause),
                // The client's end, or the next request, which waits.
                Poll::Pending if self.buffer.is_empty() => match self.poll_read(cx) {
                    Poll::Ready(None) => Poll::Ready(Piece::Gone),
                    _ => Poll::Pending,
                },
                Poll::Pending => Poll::Pending,
            });
            let data = match piece.await {
                Piece::Next(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
                Piece::Next(None) => {
                    if framing == Framing::Chunked {
                        out.extend_from_slice(b"0\r\n\r\n");
                    }
                    return wire.write_all(&out).await.ok();
                }
                Piece::Pause => {
                    wire.write_all(&out).await.ok()?;
                    out.clear();
                    continue;
                }
                Piece::Next(Some(Err(_))) => {
                    // What there is of it should arrive.
                    let _ = wire.write_all(&out).await;
                    return None;
                }
                Piece::Gone => return None,
            };
            // An empty chunk would be the last.
            if data.is_empty() {
                continue;
            }
            if framing == Framing::Chunked {
                // Into memory: cannot fail.
                let _ = write!(out, "{:X}\r\n", data.len());
            }
            if data.len() < LARGE_CHUNK {
                out.extend_from_slice(&data);
            } else {
                wire.write_all(&out).await.ok()?;
                out.clear();
                wire.write_all(&data).await.ok()?;
            }
            if framing == Framing::Chunked {
                out.extend_from_slice(b"\r\n");
            }
            if out.len() > GATHERED {
                wire.write_all(&out).await.ok()?;
                out.clear();
            }
        }
    }
}

/// What comes next of a body.
enum Piece {
    Next(Option<Result<Frame<Bytes>, Unfinished>>),
    /// Nothing for now: what was gathered should go.
    Pause,
    Gone,
}
