//! One request and its response on a client's connection, HTTP/1.1 or HTTP/2.
//!
//! Bounds every read and write in time, lets the rules of hosts and routes pass over the response's head, and keeps the
//! count. What is on the wire is the business of `bare` and `full`.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, EXPECT};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, Version};
use pingora_core::protocols::Stream;
use tidegate_site::Limits;
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;
use tokio::time::timeout;

use super::bare::{Bare, Body};
use super::full::Full;
use super::pace::Pace;
use super::patience::within;
use crate::listener::stream::close_lingering;
use crate::policy::Outgoing;

/// A piece of a body up to this size is joined with the header before it.
pub(super) const JOINED: usize = 12 << 10;

/// The longest body that is read to its end although its request has failed: it has mostly come in with the header.
const SHORT: u64 = 64 << 10;

/// What is written at once, and timed: a large piece on a slow line would outlast any patience.
const WRITE: usize = 64 << 10;
/// The same of an HTTP/2 stream, which shares its line with a hundred others.
const STREAM_WRITE: usize = 16 << 10;

/// What went wrong on the client's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientError {
    /// It went away.
    Gone,
    /// It sent or took nothing, or too little, for too long.
    Slow,
    /// Its body is malformed.
    Malformed,
}

/// The length of a response's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    /// This many bytes.
    Known(u64),
    /// Told by its end: chunked, or the stream's or connection's end.
    Unknown,
}

/// Head of a response, without framing headers.
#[derive(Debug)]
pub(crate) struct Head {
    /// Status.
    pub(crate) status: StatusCode,
    /// The app's own reason phrase (HTTP/1.1 only).
    pub(crate) reason: Option<String>,
    /// End-to-end headers; Content-Length is set from `length`.
    pub(crate) headers: HeaderMap,
    /// Length of the body; nothing for a status or method that has none.
    pub(crate) length: Option<Length>,
}

/// What speaks with the client.
pub(super) enum Session {
    /// A request without a body on HTTP/1.1.
    Bare(Box<Bare>),
    /// Any other.
    Full(Full),
}

/// One request and its response.
pub(crate) struct Exchange {
    session: Session,
    patience: Duration,
    receiving: Pace,
    sending: Pace,
    head_sent: bool,
    sent: u64,
    keep_alive: bool,
    stopping: watch::Receiver<bool>,
    /// What every response head passes through.
    outgoing: Option<Outgoing>,
}

/// An HTTP/1.1 connection after an exchange, for the next one.
pub(super) struct Reusable {
    pub(super) stream: Stream,
    /// What the client has sent already.
    pub(super) rest: BytesMut,
    pub(super) stopping: watch::Receiver<bool>,
}

impl Exchange {
    /// An exchange whose request header has been read. `limits` bound every read and write in time.
    pub(super) fn new(session: Session, limits: &Limits, keep_alive: bool, stopping: watch::Receiver<bool>) -> Self {
        let patience = limits.client_timeout;
        let mut exchange = Self {
            session,
            patience,
            receiving: Pace::new(limits.min_receive_rate, patience),
            sending: Pace::new(limits.min_send_rate, patience),
            head_sent: false,
            sent: 0,
            keep_alive,
            stopping,
            outgoing: None,
        };
        if exchange.is_http2() {
            // The connection has the rate: a stream's share of it depends on the others.
            exchange.sending = Pace::new(0, patience);
        }
        exchange
    }

    /// The request's header.
    pub(crate) fn request(&self) -> &Parts {
        match &self.session {
            Session::Bare(bare) => bare.request(),
            Session::Full(full) => full.request(),
        }
    }

    /// Whether it came over HTTP/2.
    pub(crate) fn is_http2(&self) -> bool {
        matches!(&self.session, Session::Full(full) if full.is_http2())
    }

    /// Whether the request has a body that has not been read to its end.
    pub(crate) fn has_body_left(&mut self) -> bool {
        match &mut self.session {
            Session::Bare(_) => false,
            Session::Full(full) => full.has_body_left(),
        }
    }

    /// Whether what is left of the request's body is not worth reading once the answer is known: a new
    /// connection costs the client less, and one that asked to be told to go on may never send it.
    pub(crate) fn is_rest_long(&mut self) -> bool {
        if !self.has_body_left() {
            return false;
        }
        let headers = &self.request().headers;
        let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        headers.contains_key(EXPECT) || length.is_none_or(|length: u64| length > SHORT)
    }

    /// Body bytes sent so far.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Whether the response's head has gone out: from then on an error can only cut it short.
    pub(crate) fn is_head_sent(&self) -> bool {
        self.head_sent
    }

    /// Ends the connection after this response (HTTP/1.1).
    pub(crate) fn close_after(&mut self) {
        self.keep_alive = false;
    }

    /// What the head of the response passes through, now that host or route are known.
    pub(crate) fn set_outgoing(&mut self, outgoing: Option<Outgoing>) {
        self.outgoing = outgoing;
    }

    /// The next piece of the request's body. Cancel-safe.
    pub(crate) async fn read_body(&mut self) -> Result<Option<Bytes>, ClientError> {
        let Session::Full(full) = &mut self.session else { return Ok(None) };
        if full.is_malformed() {
            return Err(ClientError::Malformed);
        }
        let (read, took) = within(self.receiving.allowance(0), full.read_body()).await.ok_or(ClientError::Slow)?;
        let piece = read?;
        self.receiving.moved(piece.as_ref().map_or(0, Bytes::len), took);
        Ok(piece)
    }

    /// Resolves when the client has gone away. To be used once the request's body was read.
    /// Cancel-safe.
    pub(crate) async fn gone(&mut self) {
        match &mut self.session {
            Session::Bare(bare) => bare.gone().await,
            Session::Full(full) => full.gone().await,
        }
    }

    /// Tells the client to send its body (RFC 9110 section 10.1.1), if it has one to send.
    pub(crate) async fn send_continue(&mut self) -> Result<(), ClientError> {
        let Session::Full(full) = &mut self.session else { return Ok(()) };
        bounded(&mut self.sending, 0, full.write_continue(self.keep_alive)).await
    }

    /// Sends the head alone, for a body that comes later.
    pub(crate) async fn send_head(&mut self, head: Head) -> Result<(), ClientError> {
        if self.write_head(head).await? {
            return self.end().await;
        }
        Ok(())
    }

    /// Sends a piece of the body; it has left when this returns.
    pub(crate) async fn send_piece(&mut self, mut piece: Bytes) -> Result<(), ClientError> {
        while !piece.is_empty() {
            let part = piece.split_to(piece.len().min(self.write_size()));
            self.write_body(part, false).await?;
        }
        Ok(())
    }

    /// Ends a body sent in pieces.
    pub(crate) async fn end(&mut self) -> Result<(), ClientError> {
        self.write_body(Bytes::new(), true).await
    }

    /// Sends a whole response at once.
    pub(crate) async fn send_whole(&mut self, head: Head, mut body: Bytes) -> Result<(), ClientError> {
        if self.write_head(head).await? {
            body.clear();
        }
        if body.len() > self.write_size()
            && let Session::Bare(bare) = &mut self.session
        {
            self.sent += bare.write_at_once(&mut body).await.map_err(gone)? as u64;
        }
        if body.len() > self.write_size() {
            let beginning = body.split_to(body.len() - self.write_size());
            self.send_piece(beginning).await?;
        }
        self.write_body(body, true).await
    }

    /// Cuts the response short so that the client sees it: the connection ends without the last
    /// chunk, the stream with a reset.
    pub(crate) fn abort(self) {
        if let Session::Full(full) = self.session {
            full.abort();
        }
    }

    /// Ends the exchange after a complete response.
    pub(super) async fn finish(self) -> Option<Reusable> {
        if !self.head_sent {
            self.abort();
            return None;
        }
        let (stream, rest) = match self.session {
            Session::Bare(bare) => {
                let is_complete = bare.is_complete();
                let (stream, rest) = bare.into_parts();
                if !self.keep_alive || !is_complete {
                    close(stream, &rest, self.patience).await;
                    return None;
                }
                (stream, rest)
            }
            Session::Full(full) => full.finish(self.patience).await?,
        };
        Some(Reusable { stream, rest, stopping: self.stopping })
    }

    /// Lets the rules pass over the head and writes it; says whether it is all there is.
    async fn write_head(&mut self, mut head: Head) -> Result<bool, ClientError> {
        if let Some(outgoing) = &self.outgoing {
            outgoing.apply(&mut head.headers);
        }
        let ends = match head.length {
            None | Some(Length::Known(0)) => true,
            Some(_) => self.request().method == Method::HEAD,
        };
        if *self.stopping.borrow() {
            self.keep_alive = false;
        }
        if head.length == Some(Length::Unknown) && !ends && self.request().version == Version::HTTP_10 {
            self.keep_alive = false;
        }
        self.head_sent = true;
        let keep_alive = self.keep_alive;
        match &mut self.session {
            Session::Bare(bare) => {
                // What else comes at once.
                if bare.hold_head(&head, ends, keep_alive) == Body::Chunked {
                    bounded(&mut self.sending, 0, bare.flush()).await?;
                }
            }
            Session::Full(full) => bounded(&mut self.sending, 0, full.write_head(head, ends, keep_alive)).await?,
        }
        Ok(ends)
    }

    async fn write_body(&mut self, piece: Bytes, ends: bool) -> Result<(), ClientError> {
        let bytes = piece.len();
        self.sent += bytes as u64;
        match &mut self.session {
            Session::Bare(bare) => bounded(&mut self.sending, bytes, bare.write_body(piece, ends)).await,
            Session::Full(full) => bounded(&mut self.sending, bytes, full.write_body(piece, ends)).await,
        }
    }

    fn write_size(&self) -> usize {
        if self.is_http2() { STREAM_WRITE } else { WRITE }
    }
}

/// Ends a connection. What the client has sent and nobody will read would make the system send a reset, which could
/// take the response with it.
async fn close(mut stream: Stream, unread: &[u8], patience: Duration) {
    if unread.is_empty() {
        // Whatever fails here, the connection is dropped next.
        let _ = timeout(patience, AsyncWriteExt::shutdown(&mut stream)).await;
    } else {
        close_lingering(&mut stream).await;
    }
}

/// Writes these bytes within the time that they may take.
async fn bounded(
    pace: &mut Pace,
    bytes: usize,
    write: impl Future<Output = io::Result<()>>,
) -> Result<(), ClientError> {
    match within(pace.allowance(bytes), write).await {
        Some((Ok(()), took)) => {
            pace.moved(bytes, took);
            Ok(())
        }
        Some((Err(error), _)) => Err(gone(error)),
        None => Err(ClientError::Slow),
    }
}

fn gone(error: io::Error) -> ClientError {
    tracing::debug!(%error, "write to the client failed");
    ClientError::Gone
}
