//! One keep-alive HTTP/1.1 connection to a worker, over whatever local socket it has: [`bare`] for requests without a
//! body, which most are, [`full`] for the others. Used by `upstream` only.

pub(super) mod bare;
mod full;

use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::response::Parts;
use http_body::Body as _;
use tidegate_host::LocalStream;
use tokio::time::Instant;

use self::bare::Bare;
use self::full::Full;
use super::backend::Backend;
use super::body::RequestBody;
use crate::metrics::Held;

/// How long to wait for a worker's endpoint: a full backlog or a busy pipe.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Fields of a response header; one more and the worker's response is invalid.
const RESPONSE_FIELDS: usize = 256;
/// Bytes of a response header and of one read of a body. A piece that a slow client has not taken keeps a buffer of this
/// size, whatever its own: with 256 KiB a thousand of them cost several hundred megabytes.
const RESPONSE_BUFFER: usize = 64 << 10;

/// A connection to a worker.
pub(super) struct Connection {
    kind: Kind,
    _open: Held,
}

enum Kind {
    Bare(Bare<LocalStream>),
    Full(Box<Full>),
}

/// Why a call brought no response head.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "lives for one match, and only after a failure")]
pub(super) enum CallError {
    /// Nothing of the request was sent; it may go to any worker.
    NotSent(Request<RequestBody>),
    /// The connection ended before a full head.
    Closed,
    /// The worker answered with something that is not HTTP.
    Invalid(String),
}

/// A response that is not there to its end.
#[derive(Debug)]
pub(crate) struct BrokenOff;

/// Idle connections of both kinds.
#[derive(Default)]
pub(super) struct Idle {
    bare: Vec<Connection>,
    full: Vec<Connection>,
}

impl Idle {
    /// One for this request, the one that was used last; it may have been closed meanwhile.
    pub(super) fn take(&mut self, request: &Request<RequestBody>) -> Option<Connection> {
        if is_bare(request) { self.bare.pop() } else { self.full.pop() }
    }

    /// Keeps one for later.
    pub(super) fn keep(&mut self, connection: Connection) {
        match connection.kind {
            Kind::Bare(_) => self.bare.push(connection),
            Kind::Full(_) => self.full.push(connection),
        }
    }
}

/// Whether a request has no body, and no field that speaks of one.
fn is_bare(request: &Request<RequestBody>) -> bool {
    request.body().is_end_stream()
        && !request.headers().contains_key(TRANSFER_ENCODING)
        && request.headers().get(CONTENT_LENGTH).is_none_or(|length| length.as_bytes() == b"0")
}

impl Connection {
    /// Opens a connection for this request, and for others of its kind.
    pub(super) async fn open(backend: &Backend, request: &Request<RequestBody>, open: Held) -> io::Result<Self> {
        let stream = tidegate_host::connect(&backend.endpoint, Instant::now() + CONNECT_TIMEOUT).await?;
        is_served_by(stream.server_process(), backend.pid.load(Ordering::Relaxed))?;
        let kind = match is_bare(request) {
            true => Kind::Bare(Bare::new(stream)),
            false => Kind::Full(Box::new(Full::new(stream).await?)),
        };
        Ok(Self { kind, _open: open })
    }

    /// Whether the connection can take a request: open, and done with the last one.
    pub(super) fn is_usable(&mut self) -> bool {
        match &mut self.kind {
            Kind::Bare(bare) => bare.is_usable(),
            Kind::Full(full) => full.is_usable(),
        }
    }

    /// Sends a request and reads the head of its response.
    pub(super) async fn call(&mut self, request: Request<RequestBody>) -> Result<Parts, CallError> {
        match &mut self.kind {
            Kind::Bare(bare) => match bare.call(&request).await {
                Ok(head) => Ok(head),
                Err(bare::Error::NotSent) => Err(CallError::NotSent(request)),
                Err(bare::Error::Closed) => Err(CallError::Closed),
                Err(bare::Error::Invalid(what)) => Err(CallError::Invalid(what.to_owned())),
            },
            Kind::Full(full) => full.call(request).await,
        }
    }

    /// Whether the response has been read to its end.
    pub(super) fn is_end(&self) -> bool {
        match &self.kind {
            Kind::Bare(bare) => bare.is_end(),
            Kind::Full(full) => full.is_end(),
        }
    }

    /// Whether the body comes as one piece, soon: the worker has all of it, and it is short.
    pub(super) fn is_short(&self) -> bool {
        match &self.kind {
            Kind::Bare(bare) => bare.is_short(),
            Kind::Full(_) => false,
        }
    }

    /// The next piece of a response body; `None` at its end. Cancel-safe: a piece not returned is not taken.
    pub(super) async fn next(&mut self) -> Option<Result<Bytes, BrokenOff>> {
        match &mut self.kind {
            Kind::Bare(bare) => bare.next().await,
            Kind::Full(full) => full.next().await,
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
