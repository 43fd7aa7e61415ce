//! One keep-alive HTTP/1.1 connection to a worker, over whatever local socket it has.
//!
//! hyper's connection is driven by the task that uses it, never by a task of its own: no
//! hand-over between threads, and dropping the connection cancels the request. Used by
//! `upstream` only.

use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::buffer::{Reading, Stored};
use crate::metrics::Held;
use crate::upstream::backend::Backend;
use crate::upstream::stream::{Deaf, WorkerStream};

/// How long to wait for a worker's endpoint: a full backlog or a busy pipe.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Chunks of a request body on their way to the worker.
const BODY_CHUNKS: usize = 8;
/// Fields of a response header; one more and the worker's response is invalid.
const RESPONSE_FIELDS: usize = 256;
/// Bytes of a response header and of one read of a body. A piece that a slow client has not taken keeps a buffer of this
/// size, whatever its own: with 256 KiB a thousand of them cost several hundred megabytes.
const RESPONSE_BUFFER: usize = 64 << 10;

/// A connection to a worker.
pub(super) struct Connection {
    send: http1::SendRequest<RequestBody>,
    driver: Driver,
    deaf: Deaf,
    _open: Held,
}

/// hyper's connection until it ends. It is dropped then, not kept: what is still queued in it is
/// answered by that drop alone.
struct Driver(Option<Pin<Box<Http1>>>);

type Http1 = http1::Connection<TokioIo<WorkerStream>, RequestBody>;

impl Driver {
    /// Does what can be done now; says whether the connection is still open.
    fn drive(&mut self, cx: &mut Context<'_>) -> bool {
        if let Some(connection) = &mut self.0
            && connection.as_mut().poll(cx).is_ready()
        {
            self.0 = None;
        }
        self.0.is_some()
    }
}

/// Why a call brought no response head.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "lives for one match, and only after a failure")]
pub(super) enum CallError {
    /// Nothing of the request was sent; it may go to any worker.
    NotSent(http::Request<RequestBody>),
    /// The connection ended before a full head.
    Closed,
    /// The worker answered with something that is not HTTP.
    Invalid(String),
}

impl Connection {
    /// Opens a connection.
    pub(super) async fn open(backend: &Backend, open: Held) -> io::Result<Self> {
        let stream = tidegate_host::connect(&backend.endpoint, Instant::now() + CONNECT_TIMEOUT).await?;
        is_served_by(stream.server_process(), backend.pid.load(Ordering::Relaxed))?;
        let stream = WorkerStream::new(stream);
        let deaf = stream.deaf();
        let (send, driver) = http1::Builder::new()
            .max_headers(RESPONSE_FIELDS)
            .max_buf_size(RESPONSE_BUFFER)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        Ok(Self { send, driver: Driver(Some(Box::pin(driver))), deaf, _open: open })
    }

    /// Whether the connection can take a request: open, and done with the last one.
    pub(super) fn is_usable(&mut self) -> bool {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        self.driver.drive(&mut cx) && self.send.is_ready() && !self.deaf.is_set()
    }

    /// Sends a request and reads the head of its response.
    pub(super) async fn call(
        &mut self,
        request: http::Request<RequestBody>,
    ) -> Result<http::Response<Incoming>, CallError> {
        let mut response = std::pin::pin!(self.send.try_send_request(request));
        let driver = &mut self.driver;
        let outcome = poll_fn(|cx| {
            if let Poll::Ready(outcome) = response.as_mut().poll(cx) {
                return Poll::Ready(outcome);
            }
            driver.drive(cx);
            response.as_mut().poll(cx)
        })
        .await;
        outcome.map_err(|mut error| match error.take_message() {
            Some(request) => CallError::NotSent(request),
            None => {
                let error = error.into_error();
                if error.is_parse() || error.is_parse_too_large() || error.is_parse_status() {
                    CallError::Invalid(error.to_string())
                } else {
                    CallError::Closed
                }
            }
        })
    }

    /// The next piece of a response body; `None` at its end.
    pub(super) async fn next(&mut self, body: &mut Incoming) -> Option<Result<Bytes, hyper::Error>> {
        let driver = &mut self.driver;
        loop {
            let frame = poll_fn(|cx| {
                if let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) {
                    return Poll::Ready(frame);
                }
                driver.drive(cx);
                Pin::new(&mut *body).poll_frame(cx)
            })
            .await?;
            match frame {
                Ok(frame) => match frame.into_data() {
                    Ok(data) if !data.is_empty() => return Some(Ok(data)),
                    // Trailers and empty frames carry nothing for a WSGI response.
                    Ok(_) | Err(_) => {}
                },
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// Somebody else may have made a pipe of the worker's name, to be given its requests.
fn is_served_by(server: Option<u32>, worker: u32) -> io::Result<()> {
    match server {
        Some(server) if server != worker => Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("process {server} listens there, and the worker is {worker}"),
        )),
        _ => Ok(()),
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_is_not_the_worker_gets_no_request() {
        assert!(is_served_by(Some(7), 7).is_ok());
        // Where the system does not tell.
        assert!(is_served_by(None, 7).is_ok());
        let error = is_served_by(Some(8), 7).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(error.to_string(), "process 8 listens there, and the worker is 7");
    }
}
