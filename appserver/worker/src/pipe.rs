//! A streamed response on its way from a Python thread to the I/O thread: a bounded queue of
//! chunks. The sending side blocks (detached from Python) while the queue is full; the
//! receiving side is polled by its connection. Neither side ever holds the lock while it waits.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};

use crate::outbox::{Event, Outbox};

/// Chunks and bytes that may be under way at once. One chunk is always taken, whatever its size.
const MAX_CHUNKS: usize = 16;
const MAX_BYTES: usize = 1 << 20;

/// The queue between the two sides.
#[derive(Default)]
pub(crate) struct Pipe {
    state: Mutex<State>,
    room: Condvar,
}

#[derive(Default)]
struct State {
    chunks: VecDeque<Bytes>,
    bytes: usize,
    end: Option<End>,
    waker: Option<Waker>,
    reader_gone: bool,
}

/// How a response ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Everything was sent and the thread is back.
    Complete,
    /// It is to be cut short visibly.
    Aborted,
}

/// What became of a chunk.
pub(crate) enum Offer {
    /// It is on its way.
    Taken,
    /// There is no room yet.
    Full(Bytes),
    /// Nobody will read it.
    Gone,
}

/// What the reader finds.
pub(crate) enum Piece {
    /// The next chunk.
    Chunk(Bytes),
    /// There is no more.
    End(End),
}

impl Pipe {
    /// A pipe that already holds the chunk that made the response start.
    pub(crate) fn with(chunk: Bytes) -> Arc<Self> {
        let pipe = Self::default();
        {
            let mut state = pipe.state.lock();
            state.bytes = chunk.len();
            state.chunks.push_back(chunk);
        }
        Arc::new(pipe)
    }

    /// Sends a chunk if there is room.
    pub(crate) fn offer(&self, chunk: Bytes, outbox: &Outbox) -> Offer {
        let mut state = self.state.lock();
        if state.reader_gone {
            return Offer::Gone;
        }
        let full = state.chunks.len() >= MAX_CHUNKS || state.bytes + chunk.len() > MAX_BYTES;
        if full && !state.chunks.is_empty() {
            return Offer::Full(chunk);
        }
        state.bytes += chunk.len();
        state.chunks.push_back(chunk);
        wake(state.waker.take(), outbox);
        Offer::Taken
    }

    /// Blocks until there may be room or the reader is gone. The caller is detached from Python.
    pub(crate) fn wait_for_room(&self) {
        let mut state = self.state.lock();
        while !state.reader_gone && (state.chunks.len() >= MAX_CHUNKS || state.bytes > MAX_BYTES / 2) {
            self.room.wait(&mut state);
        }
    }

    /// Ends the response.
    pub(crate) fn end(&self, end: End, outbox: &Outbox) {
        let mut state = self.state.lock();
        state.end.get_or_insert(end);
        wake(state.waker.take(), outbox);
    }

    /// The next chunk, or the end; called by the connection's task.
    pub(crate) fn poll(&self, context: &mut Context<'_>) -> Poll<Piece> {
        let mut state = self.state.lock();
        if let Some(chunk) = state.chunks.pop_front() {
            state.bytes -= chunk.len();
            self.room.notify_one();
            return Poll::Ready(Piece::Chunk(chunk));
        }
        if let Some(end) = state.end {
            return Poll::Ready(Piece::End(end));
        }
        match &mut state.waker {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    /// The reader leaves: chunks under way are dropped, and so is whatever comes.
    pub(crate) fn hang_up(&self) {
        let mut state = self.state.lock();
        state.reader_gone = true;
        state.chunks.clear();
        state.bytes = 0;
        self.room.notify_all();
    }
}

fn wake(waker: Option<Waker>, outbox: &Outbox) {
    if let Some(waker) = waker {
        outbox.push(Event::Wake(waker));
    }
}
