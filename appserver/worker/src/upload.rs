//! A request body on its way from the I/O thread to a Python thread: read from the socket only
//! once the app asks for it (which is when hyper answers `Expect: 100-continue`), then kept a
//! bounded number of bytes ahead of the app.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http_body::Body as _;
use hyper::body::Incoming;
use parking_lot::{Condvar, Mutex};
use tokio::time::timeout;

use crate::outbox::{Event, Outbox};

/// Bytes read ahead of the app.
const AHEAD: usize = 256 << 10;

/// How long a body is read that nobody wants.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(30);

/// A body that is read on demand.
pub(crate) struct Upload {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// The body, until the app first reads.
    unread: Option<Incoming>,
    chunks: VecDeque<Bytes>,
    bytes: usize,
    end: Option<End>,
    /// The filling task, while it waits for room.
    filler: Option<Waker>,
}

#[derive(Clone, Copy)]
enum End {
    Complete,
    Broken,
}

/// The client went away, or the request was given up, before the body's end.
#[derive(Debug)]
pub(crate) struct Broken;

impl Upload {
    /// A body that nobody has asked for yet.
    pub(crate) fn new(incoming: Incoming) -> Arc<Self> {
        let state = State { unread: Some(incoming), chunks: VecDeque::new(), bytes: 0, end: None, filler: None };
        Arc::new(Self { state: Mutex::new(state), changed: Condvar::new() })
    }

    /// The next chunk if it is there; `Ok(None)` means: wait.
    /// The empty chunk is the end of the body.
    pub(crate) fn try_next(self: &Arc<Self>, outbox: &Outbox) -> Result<Option<Bytes>, Broken> {
        let mut state = self.state.lock();
        if let Some(incoming) = state.unread.take() {
            drop(state);
            outbox.push(Event::Read(Arc::clone(self), incoming));
            return Ok(None);
        }
        if let Some(chunk) = state.chunks.pop_front() {
            state.bytes -= chunk.len();
            if state.bytes <= AHEAD / 2
                && let Some(filler) = state.filler.take()
            {
                outbox.push(Event::Wake(filler));
            }
            return Ok(Some(chunk));
        }
        match state.end {
            None => Ok(None),
            Some(End::Complete) => Ok(Some(Bytes::new())),
            Some(End::Broken) => Err(Broken),
        }
    }

    /// Blocks until `try_next` has something to say. The caller is detached from Python.
    pub(crate) fn wait(&self) {
        let mut state = self.state.lock();
        while state.chunks.is_empty() && state.end.is_none() {
            self.changed.wait(&mut state);
        }
    }

    /// Gives the body up: a waiting reader gets an error, and what still comes is read and dropped, so
    /// that the connection does not end with a reset that takes the response with it. Not so where the
    /// sender waits for `100 Continue`, which reading would send.
    pub(crate) fn abandon(&self, outbox: &Outbox, expects: bool) {
        let mut state = self.state.lock();
        let unread = state.unread.take();
        state.end.get_or_insert(End::Broken);
        if let Some(filler) = state.filler.take() {
            filler.wake();
        }
        self.changed.notify_all();
        drop(state);
        if let Some(incoming) = unread
            && !expects
        {
            outbox.push(Event::Discard(incoming));
        }
    }

    /// Reads the body into the queue; a task of the I/O thread.
    pub(crate) async fn fill(self: Arc<Self>, mut incoming: Incoming) {
        loop {
            let frame = poll_fn(|context| Pin::new(&mut incoming).poll_frame(context)).await;
            let end = match frame {
                None => Some(End::Complete),
                Some(Err(_)) => Some(End::Broken),
                Some(Ok(frame)) => {
                    // Trailers have no place in WSGI.
                    if let Ok(chunk) = frame.into_data()
                        && !chunk.is_empty()
                    {
                        let mut state = self.state.lock();
                        state.bytes += chunk.len();
                        state.chunks.push_back(chunk);
                        self.changed.notify_one();
                    }
                    None
                }
            };
            if let Some(end) = end {
                self.state.lock().end.get_or_insert(end);
                self.changed.notify_all();
                return;
            }
            let abandoned = poll_fn(|context| {
                let mut state = self.state.lock();
                if state.end.is_some() || state.bytes < AHEAD {
                    return Poll::Ready(state.end.is_some());
                }
                state.filler = Some(context.waker().clone());
                Poll::Pending
            })
            .await;
            if abandoned {
                return discard(incoming).await;
            }
        }
    }
}

/// Reads a body that nobody wants to its end, within bounds; a task of the I/O thread.
pub(crate) async fn discard(mut incoming: Incoming) {
    let all = async { while let Some(Ok(_)) = poll_fn(|context| Pin::new(&mut incoming).poll_frame(context)).await {} };
    // Whoever sends for longer is cut off.
    let _ = timeout(DISCARD_TIMEOUT, all).await;
}
