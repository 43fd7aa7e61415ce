//! What the I/O thread and a Python thread share of a connection that `bare` serves: whose turn it is, and what is still to be
//! written. A whole response is written by the Python thread that made it, so that the I/O thread need not be woken for
//! it; what the connection has no room for, and bodies that come bit by bit, are left to the I/O thread. Never waits.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::Method;
use parking_lot::Mutex;
use tidegate_contract::Cause;
use tidegate_host::LocalWriter;

use super::Reply;
use super::body::{ReplyBody, Streamed};
use super::head::{self, Framing};
use super::service::failure;
use crate::outbox::Event;
use crate::request::Request;
use crate::shared::Shared;

/// A body up to this size leaves in one piece with its head.
const SHORT_BODY: usize = 64 << 10;
/// Room for a response that is kept for the next one.
const KEPT: usize = 4 << 10;

/// A connection, as both threads see it.
pub(super) struct Wire {
    writer: LocalWriter,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    turn: Turn,
    /// What the connection had no room for.
    rest: VecDeque<Bytes>,
    /// A response whose body is still to come.
    streamed: Option<Flow>,
    /// Where a response is put together.
    scratch: Vec<u8>,
    /// Nothing can be written any more.
    broken: bool,
    /// Whether the I/O thread wants to hear of an answer that is written already.
    told: bool,
    /// Whether the connection ends with the next answer.
    closing: bool,
    waker: Option<Waker>,
}

/// Whose turn it is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// The proxy's: there is no request, or its answer has been given.
    #[default]
    Proxy,
    /// The app's: it owes the answer to the request of this number.
    App(u64),
    /// The connection's end has come.
    Nobody,
}

/// A response whose body is still to come.
pub(super) struct Flow {
    /// The head, not written yet.
    pub(super) head: Bytes,
    pub(super) framing: Framing,
    pub(super) body: Streamed,
}

/// What the I/O thread finds.
pub(super) enum Found {
    /// Nothing to do now: the app has the turn, or there is no room to write.
    Asked,
    /// Nothing to do: the last answer is written.
    Done,
    /// A response to be written.
    Flow(Flow),
    /// The connection is broken.
    Broken,
}

impl Wire {
    pub(super) fn new(writer: LocalWriter) -> Self {
        Self { writer, state: Mutex::default() }
    }

    pub(super) fn into_writer(self) -> LocalWriter {
        self.writer
    }

    /// Gives the app the turn for request `number`.
    pub(super) fn ask(&self, number: u64) {
        self.state.lock().turn = Turn::App(number);
    }

    /// Takes the turn from the app, if it still has it for this request.
    pub(super) fn claim(&self, number: u64) -> bool {
        let mut state = self.state.lock();
        let claimed = state.turn == Turn::App(number);
        if claimed {
            state.turn = Turn::Proxy;
        }
        claimed
    }

    /// Nothing is written from here on.
    pub(super) fn close(&self) {
        self.state.lock().turn = Turn::Nobody;
    }

    /// Writes what was left to the I/O thread, and says what else there is to do; the task is woken when there may be more. With
    /// `told` it is also woken when an answer has been written without it; with `closing` answers say that they are the last.
    pub(super) fn poll(&self, cx: &mut Context<'_>, told: bool, closing: bool) -> Found {
        let mut state = self.state.lock();
        (state.told, state.closing) = (told || closing, closing);
        if state.waker.as_ref().is_none_or(|waker| !waker.will_wake(cx.waker())) {
            state.waker = Some(cx.waker().clone());
        }
        while let Some(mut piece) = state.rest.pop_front() {
            match self.write(&piece) {
                Ok(written) if written == piece.len() => {}
                Ok(written) => {
                    state.rest.push_front(piece.split_off(written));
                    match self.writer.poll_room(cx) {
                        Poll::Ready(Ok(())) => {}
                        Poll::Ready(Err(_)) => return Found::Broken,
                        Poll::Pending => return Found::Asked,
                    }
                }
                Err(_) => return Found::Broken,
            }
        }
        match (state.streamed.take(), state.turn) {
            _ if state.broken => Found::Broken,
            (Some(flow), _) => Found::Flow(flow),
            (None, Turn::App(_)) => Found::Asked,
            (None, _) => Found::Done,
        }
    }

    /// Writes all of it, waiting for room.
    pub(super) async fn write_all(&self, mut data: &[u8]) -> io::Result<()> {
        loop {
            data = &data[self.write(data)?..];
            if data.is_empty() {
                return Ok(());
            }
            std::future::poll_fn(|cx| self.writer.poll_room(cx)).await?;
        }
    }

    /// Writes an answer of the I/O thread's own, after [`Self::claim`].
    pub(super) fn say(&self, reply: Reply, method: &Method) {
        let mut state = self.state.lock();
        self.put(&mut state, reply, method);
    }

    /// Takes the app's answer to request `number`. Returns whom to wake, or the answer if nobody waits for it.
    fn answer(&self, number: u64, reply: Reply, method: &Method) -> Result<Option<Waker>, Box<Reply>> {
        let mut state = self.state.lock();
        if state.turn != Turn::App(number) {
            return Err(Box::new(reply));
        }
        // Before anything is written: the next request may be there at once.
        state.turn = Turn::Proxy;
        let left = self.put(&mut state, reply, method);
        Ok(if left || state.told { state.waker.take() } else { None })
    }

    /// Writes a response as far as there is room; returns whether anything is left to the I/O thread.
    fn put(&self, state: &mut State, reply: Reply, method: &Method) -> bool {
        let (parts, body) = reply.into_parts();
        let framing = Framing::of(&parts, &body, method);
        let mut bytes = std::mem::take(&mut state.scratch);
        bytes.clear();
        head::encode(&parts, framing, state.closing, &mut bytes);
        match body {
            ReplyBody::Streamed(body) => {
                state.streamed = Some(Flow { head: Bytes::from(bytes), framing, body });
                return true;
            }
            _ if head::is_bodyless(parts.status, method) => {}
            ReplyBody::Full(body) if body.len() > SHORT_BODY => {
                bytes.extend_from_slice(&body[..SHORT_BODY]);
                state.rest.extend([Bytes::from(bytes), body.slice(SHORT_BODY..)]);
                return true;
            }
            ReplyBody::Full(body) => bytes.extend_from_slice(&body),
            ReplyBody::Empty => {}
        }
        // What is left of the last answer goes first.
        let written = if state.rest.is_empty() { self.write(&bytes) } else { Ok(0) };
        match written {
            Ok(written) if written == bytes.len() => {}
            Ok(written) => state.rest.push_back(Bytes::copy_from_slice(&bytes[written..])),
            Err(_) => state.broken = true,
        }
        bytes.shrink_to(KEPT);
        state.scratch = bytes;
        state.broken || !state.rest.is_empty()
    }

    /// Writes as much as there is room for.
    fn write(&self, data: &[u8]) -> io::Result<usize> {
        let mut written = 0;
        while written < data.len() {
            match self.writer.try_write(&data[written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(more) => written += more,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }
}

/// The duty to answer one request; dropped without an answer it says that the app failed.
pub(crate) struct Answer {
    shared: &'static Shared,
    /// Not kept open by a thread that is stuck.
    wire: Option<Weak<Wire>>,
    number: u64,
    request: Arc<Request>,
}

impl Answer {
    pub(super) fn new(shared: &'static Shared, wire: &Arc<Wire>, number: u64, request: Arc<Request>) -> Self {
        Self { shared, wire: Some(Arc::downgrade(wire)), number, request }
    }

    /// Answers. Called by any thread.
    pub(crate) fn send(mut self, reply: Reply) {
        self.give(reply);
    }

    fn give(&mut self, reply: Reply) {
        let Some(wire) = self.wire.take() else { return };
        let answered = match wire.upgrade() {
            Some(wire) => wire.answer(self.number, reply, &self.request.head.method),
            None => Err(Box::new(reply)),
        };
        match answered {
            Ok(None) => {}
            Ok(Some(waker)) => self.shared.outbox.push(Event::Wake(waker)),
            // To be dropped by the I/O thread: a body that nobody reads has timers to set.
            Err(reply) => self.shared.outbox.push(Event::Unwanted(*reply)),
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if self.wire.is_some() {
            self.give(failure(Cause::AppError, self.request.direct));
        }
    }
}
