//! The body of a response as hyper takes it, and `bare`.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use thiserror::Error;
use tokio::time::{Sleep, sleep};

use crate::pipe::{End, Piece, Pipe};
use crate::request::Request;
use crate::shared::Shared;

/// The response is cut short: the connection is closed without finishing the message.
#[derive(Debug, Error)]
#[error("response cut short")]
pub(crate) struct Unfinished;

/// A response's body.
pub(crate) enum ReplyBody {
    /// None.
    Empty,
    /// All of it.
    Full(Bytes),
    /// Through a pipe.
    Streamed(Streamed),
}

/// A body that comes through a pipe.
pub(crate) struct Streamed {
    shared: &'static Shared,
    request: Arc<Request>,
    pipe: Arc<Pipe>,
    /// Runs while the reader waits for the app.
    idle: Option<Pin<Box<Sleep>>>,
    ended: bool,
    /// Whether hyper has had the chance to write what came before an abort.
    flushed: bool,
}

impl Streamed {
    /// The body of `request` that comes through `pipe`.
    pub(crate) fn new(shared: &'static Shared, request: Arc<Request>, pipe: Arc<Pipe>) -> Self {
        Self { shared, request, pipe, idle: None, ended: false, flushed: false }
    }

    /// The next chunk.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Unfinished>>> {
        match self.pipe.poll(context) {
            Poll::Ready(Piece::Chunk(chunk)) => {
                self.idle = None;
                Poll::Ready(Some(Ok(Frame::data(chunk))))
            }
            Poll::Ready(Piece::End(End::Complete)) => {
                self.ended = true;
                Poll::Ready(None)
            }
            Poll::Ready(Piece::End(End::Aborted)) if self.flushed => Poll::Ready(Some(Err(Unfinished))),
            Poll::Ready(Piece::End(End::Aborted)) => {
                // hyper drops what it has not written when it meets an error: let it write first.
                self.flushed = true;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Pending => {
                let limit = Duration::from_millis(self.request.dispatch.idle_ms);
                let idle = self.idle.get_or_insert_with(|| Box::pin(sleep(limit)));
                if idle.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                self.pipe.hang_up();
                self.shared.watchdog.timed_out(self.shared, &self.request);
                Poll::Ready(Some(Err(Unfinished)))
            }
        }
    }
}

impl Drop for Streamed {
    fn drop(&mut self) {
        if !self.ended {
            self.pipe.hang_up();
            self.request.client_gone();
        }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Unfinished;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Unfinished>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            full @ Self::Full(_) => match std::mem::replace(full, Self::Empty) {
                Self::Full(bytes) if !bytes.is_empty() => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                _ => Poll::Ready(None),
            },
            Self::Streamed(streamed) => streamed.poll(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Full(bytes) => bytes.is_empty(),
            Self::Streamed(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Streamed(_) => SizeHint::default(),
        }
    }
}
