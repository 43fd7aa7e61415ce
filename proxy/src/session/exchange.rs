//! One request and its response on a client's connection, HTTP/1.1 or HTTP/2.
//!
//! The only code that touches pingora's `ServerSession`. It bounds every read and write in time,
//! frames the response itself, and never finishes an unfinished response politely.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use pingora_core::protocols::http::server::{ReusableHttpStream, Session as ServerSession};
use pingora_http::{RequestHeader, ResponseHeader};
use tidegate_site::Limits;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::gate::Gate;
use super::pace::Pace;
use crate::listener::stream::{Hold, close_lingering};
use crate::policy::Outgoing;

/// A piece of a body up to this size is joined with the header before it.
const JOINED: usize = 12 << 10;

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

/// One request and its response.
pub(crate) struct Exchange {
    session: ServerSession,
    /// Of an HTTP/1.1 connection.
    hold: Option<Hold>,
    gate: Option<Gate>,
    patience: Duration,
    receiving: Pace,
    sending: Pace,
    head_sent: bool,
    /// The head ended the stream of HTTP/2.
    ended: bool,
    sent: u64,
    keep_alive: bool,
    stopping: watch::Receiver<bool>,
    /// What every response head passes through.
    outgoing: Option<Outgoing>,
}

/// The end of an exchange on HTTP/1.1: the connection for the next request, if it may have one.
pub(crate) type Reusable = Option<ReusableHttpStream>;

impl Exchange {
    /// An exchange whose request header has been read. `connection`, on HTTP/1.1, joins writes and checks
    /// chunks; `limits` bound every read and write in time.
    pub(super) fn new(
        mut session: ServerSession,
        connection: Option<(Hold, Gate)>,
        limits: &Limits,
        keep_alive: bool,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        if let ServerSession::H1(session) = &mut session {
            // Every read here has a timer of its own.
            session.set_read_timeout(None);
        }
        let (hold, gate) = connection.unzip();
        let patience = limits.client_timeout;
        // Of HTTP/2 the connection has the rate: a stream's share of it depends on the others.
        let sending = if hold.is_some() { limits.min_send_rate } else { 0 };
        Self {
            session,
            hold,
            gate,
            patience,
            receiving: Pace::new(limits.min_receive_rate, patience),
            sending: Pace::new(sending, patience),
            head_sent: false,
            ended: false,
            sent: 0,
            keep_alive,
            stopping,
            outgoing: None,
        }
    }

    /// The request's header.
    pub(crate) fn request(&self) -> &RequestHeader {
        self.session.req_header()
    }

    /// Whether it came over HTTP/2.
    pub(crate) fn is_http2(&self) -> bool {
        self.session.is_http2()
    }

    /// Whether the request has a body that has not been read to its end.
    pub(crate) fn has_body_left(&mut self) -> bool {
        !self.session.is_body_done()
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
        if self.is_malformed() {
            return Err(ClientError::Malformed);
        }
        let begun = Instant::now();
        match timeout(self.receiving.allowance(0), self.session.read_request_body()).await {
            Ok(Ok(piece)) => {
                self.receiving.moved(piece.as_ref().map_or(0, Bytes::len), begun.elapsed());
                Ok(piece)
            }
            Ok(Err(_)) if self.is_malformed() => Err(ClientError::Malformed),
            Ok(Err(error)) => Err(classify(&error)),
            Err(_) => Err(ClientError::Slow),
        }
    }

    /// Resolves when the client has gone away. To be used once the request's body was read.
    /// Cancel-safe.
    pub(crate) async fn gone(&mut self) {
        // Bytes of a pipelined request are kept by the session and do not end the wait.
        while let Ok(_early) = self.session.read_body_or_idle(true).await {}
    }

    /// Tells the client to send its body (RFC 9110 section 10.1.1); HTTP/2 has no need of it.
    pub(crate) async fn send_continue(&mut self) -> Result<(), ClientError> {
        self.bounded_write(0, async |session| session.write_continue_response().await).await?;
        // pingora gives the connection up at any head, this one too, that goes out before the body
        // has come in.
        self.session.set_keepalive(self.keep_alive.then_some(0));
        Ok(())
    }

    /// Sends the head alone, for a body that comes later.
    pub(crate) async fn send_head(&mut self, head: Head) -> Result<(), ClientError> {
        let (header, ends) = self.frame(head);
        self.head_sent = true;
        self.hold_writes(true);
        self.write_head(header, ends).await?;
        if ends {
            return self.end().await;
        }
        Ok(())
    }

    /// Sends a piece of the body; it has left when this returns.
    pub(crate) async fn send_piece(&mut self, mut piece: Bytes) -> Result<(), ClientError> {
        self.hold_writes(false);
        while !piece.is_empty() {
            let part = piece.split_to(piece.len().min(self.write_size()));
            let bytes = part.len();
            self.sent += bytes as u64;
            self.bounded_write(bytes, async |session| session.write_response_body(part, false).await).await?;
        }
        Ok(())
    }

    /// Ends a body sent in pieces.
    pub(crate) async fn end(&mut self) -> Result<(), ClientError> {
        self.write_end(Bytes::new()).await
    }

    /// Sends a whole response at once.
    pub(crate) async fn send_whole(&mut self, head: Head, body: Bytes) -> Result<(), ClientError> {
        let (header, ends) = self.frame(head);
        self.head_sent = true;
        self.hold_writes(true);
        let mut body = if ends { Bytes::new() } else { body };
        self.write_head(header, body.is_empty()).await?;
        self.hold_writes(body.len() <= JOINED);
        if body.len() > self.write_size() {
            let beginning = body.split_to(body.len() - self.write_size());
            self.send_piece(beginning).await?;
        }
        self.sent += body.len() as u64;
        self.write_end(body).await
    }

    /// Cuts the response short so that the client sees it: the connection ends without the last
    /// chunk, the stream with a reset.
    pub(crate) fn abort(mut self) {
        if self.session.is_http2() {
            self.session.shutdown_with_reason(h2::Reason::INTERNAL_ERROR);
        }
    }

    /// Ends the exchange after a complete response.
    pub(super) async fn finish(mut self) -> Reusable {
        if !self.head_sent {
            self.abort();
            return None;
        }
        if let Some(hold) = &self.hold {
            hold.reset_at_end(false);
        }
        self.session.set_total_drain_timeout(Some(self.patience));
        let is_malformed = self.is_malformed();
        if let ServerSession::H1(session) = &mut self.session
            && (!session.will_keepalive() || is_malformed)
            && !session.is_body_done()
        {
            // pingora would close at once, and the reset that answers the rest of the body would take
            // the response with it.
            self.close_lingering().await;
            return None;
        }
        match self.session.finish().await {
            Ok(reusable) => reusable.filter(|_| self.gate.is_none_or(|gate| gate.is_open())),
            Err(error) => {
                tracing::debug!(%error, "the connection could not be finished");
                None
            }
        }
    }

    async fn close_lingering(self) {
        if let ServerSession::H1(mut session) = self.session
            && session.finish_body().await.is_ok()
        {
            close_lingering(&mut session.into_inner()).await;
        }
    }

    /// Lets the rules pass over the head and sets what frames the body; says whether the head is all there is.
    fn frame(&mut self, head: Head) -> (Box<ResponseHeader>, bool) {
        let Head { status, reason, mut headers, length } = head;
        if let Some(outgoing) = &self.outgoing {
            outgoing.apply(&mut headers);
        }
        headers.remove(CONTENT_LENGTH);
        headers.remove(TRANSFER_ENCODING);
        headers.remove(CONNECTION);
        let version = self.request().version;
        let is_head = self.request().method == Method::HEAD;
        let mut ends = is_head;
        match length {
            None => ends = true,
            Some(Length::Known(length)) => {
                headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
                ends |= length == 0;
            }
            Some(Length::Unknown) if is_head => {}
            Some(Length::Unknown) if version == Version::HTTP_11 => {
                headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
            }
            // HTTP/1.0: the connection's end is the body's. HTTP/2: the stream's.
            Some(Length::Unknown) => {
                if let Some(hold) = &self.hold {
                    self.keep_alive = false;
                    // However it comes to an end short of this body's: also with the proxy's own.
                    hold.reset_at_end(true);
                }
            }
        }
        if *self.stopping.borrow() {
            self.keep_alive = false;
        }
        if !self.keep_alive {
            self.session.set_keepalive(None);
        }
        let (mut parts, ()) = http::Response::new(()).into_parts();
        parts.status = status;
        parts.headers = headers;
        let mut header = ResponseHeader::from(parts);
        if let Some(reason) = reason {
            // A phrase that pingora refuses is only a phrase.
            let _ = header.set_reason_phrase(Some(&reason));
        }
        (Box::new(header), ends)
    }

    /// Whether the body broke the rules of chunks; what follows it could be anything.
    fn is_malformed(&self) -> bool {
        self.gate.as_ref().is_some_and(Gate::is_shut)
    }

    fn hold_writes(&self, hold: bool) {
        if let Some(switch) = &self.hold {
            switch.set(hold);
        }
    }

    fn write_size(&self) -> usize {
        if self.session.is_http2() { STREAM_WRITE } else { WRITE }
    }

    /// Writes the head. Where it is all, it ends the stream of HTTP/2 as well: a frame less.
    async fn write_head(&mut self, header: Box<ResponseHeader>, is_all: bool) -> Result<(), ClientError> {
        self.ended = is_all && self.session.is_http2();
        self.bounded_write(0, async |session| match session {
            ServerSession::H2(session) => session.write_response_header(header, is_all),
            session => session.write_response_header(header).await,
        })
        .await
    }

    /// Writes the end of a body and what comes before it, unless the head was the end.
    async fn write_end(&mut self, rest: Bytes) -> Result<(), ClientError> {
        if self.ended {
            return Ok(());
        }
        self.bounded_write(rest.len(), async |session| session.write_response_body(rest, true).await).await
    }

    /// Writes these bytes within the time that they may take.
    async fn bounded_write(
        &mut self,
        bytes: usize,
        write: impl AsyncFnOnce(&mut ServerSession) -> pingora_core::Result<()>,
    ) -> Result<(), ClientError> {
        let begun = Instant::now();
        match timeout(self.sending.allowance(bytes), write(&mut self.session)).await {
            Ok(Ok(())) => {
                self.sending.moved(bytes, begun.elapsed());
                Ok(())
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, "write to the client failed");
                Err(ClientError::Gone)
            }
            Err(_) => Err(ClientError::Slow),
        }
    }
}

fn classify(error: &pingora_core::Error) -> ClientError {
    use pingora_core::ErrorType;
    match error.etype() {
        ErrorType::ReadTimedout => ClientError::Slow,
        ErrorType::ConnectionClosed | ErrorType::ReadError | ErrorType::H2Error => ClientError::Gone,
        _ => ClientError::Malformed,
    }
}
