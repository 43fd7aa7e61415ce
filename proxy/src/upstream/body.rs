//! A request's body on its way to a worker: here as a whole, or as the client sends it. Made by the request's story, read by a
//! connection.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

use crate::buffer::{Reading, Stored};

/// Chunks of a request body on their way to the worker.
const BODY_CHUNKS: usize = 8;

/// Where the client's body goes in: one end of a [`RequestBody`].
pub(crate) type BodySender = mpsc::Sender<BodyPart>;

/// A piece of a request body.
#[derive(Debug)]
pub(crate) enum BodyPart {
    /// Bytes.
    Data(Bytes),
    /// The client sent all of it. Without this the body counts as broken off.
    End,
}

/// A request's body on its way to a worker.
#[derive(Debug)]
pub(crate) struct RequestBody(Source);

#[derive(Debug)]
enum Source {
    /// There is none, or no more.
    End,
    /// Here as a whole.
    Stored(Reading),
    /// As the client sends it.
    Streamed { parts: mpsc::Receiver<BodyPart>, left: Option<u64> },
}

/// Why a request's body did not get to the worker.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The client did not send all of it.
    #[error("the client's body broke off")]
    BrokenOff,
    /// Its file failed.
    #[error("the buffered body cannot be read: {0}")]
    Unreadable(io::Error),
}

impl RequestBody {
    /// No body.
    pub(crate) fn empty() -> Self {
        Self(Source::End)
    }

    /// A body that was taken in, from its start.
    pub(crate) fn stored(stored: &Arc<Stored>) -> Self {
        Self(Source::Stored(Reading::new(stored)))
    }

    /// A body of this length, or chunked without one.
    pub(crate) fn channel(length: Option<u64>) -> (BodySender, Self) {
        let (sender, parts) = mpsc::channel(BODY_CHUNKS);
        (sender, Self(Source::Streamed { parts, left: length }))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.0 {
            Source::End => Poll::Ready(None),
            Source::Stored(reading) => {
                let next = ready!(reading.poll_next(cx));
                if let Some(Err(error)) = &next {
                    tracing::error!(%error, "a buffered request body cannot be read");
                }
                Poll::Ready(next.map(|read| read.map(Frame::data).map_err(BodyError::Unreadable)))
            }
            Source::Streamed { parts, left } => match ready!(parts.poll_recv(cx)) {
                Some(BodyPart::Data(data)) => {
                    if let Some(left) = left {
                        *left = left.saturating_sub(data.len() as u64);
                    }
                    Poll::Ready(Some(Ok(Frame::data(data))))
                }
                Some(BodyPart::End) => {
                    self.0 = Source::End;
                    Poll::Ready(None)
                }
                None => Poll::Ready(Some(Err(BodyError::BrokenOff))),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Source::End => true,
            Source::Stored(reading) => reading.left() == 0,
            Source::Streamed { .. } => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Source::End => SizeHint::with_exact(0),
            Source::Stored(reading) => SizeHint::with_exact(reading.left()),
            Source::Streamed { left: Some(left), .. } => SizeHint::with_exact(*left),
            Source::Streamed { left: None, .. } => SizeHint::default(),
        }
    }
}
