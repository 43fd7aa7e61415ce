//! A request and its response on a session of pingora: every request of HTTP/2, and those of HTTP/1.1 that have a body or
//! another peculiarity. The only code that touches pingora's `ServerSession`. Used by `exchange`, which bounds every call
//! in time; frames the response itself, and never finishes an unfinished response politely.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderValue, Method, Version};
use pingora_core::protocols::Stream;
use pingora_core::protocols::http::server::Session as ServerSession;
use pingora_http::ResponseHeader;

use super::exchange::{ClientError, Head, JOINED, Length};
use super::gate::Gate;
use crate::listener::stream::{Hold, close_lingering};

/// A session of pingora.
pub(super) struct Full {
    // Boxed, because it is large and goes from hand to hand.
    session: Box<ServerSession>,
    /// Of an HTTP/1.1 connection: what joins writes, and what checks chunks.
    connection: Option<(Hold, Gate)>,
    /// The head ended the stream of HTTP/2.
    ended: bool,
}

impl Full {
    /// A session whose request header has been read.
    pub(super) fn new(mut session: Box<ServerSession>, connection: Option<(Hold, Gate)>) -> Self {
        if let ServerSession::H1(session) = &mut *session {
            // Every read here has a timer of its own.
            session.set_read_timeout(None);
        }
        Self { session, connection, ended: false }
    }

    /// The request.
    pub(super) fn request(&self) -> &Parts {
        self.session.req_header()
    }

    pub(super) fn is_http2(&self) -> bool {
        self.session.is_http2()
    }

    /// Whether the request has a body that has not been read to its end.
    pub(super) fn has_body_left(&mut self) -> bool {
        !self.session.is_body_done()
    }

    /// The next piece of the request's body. Cancel-safe.
    pub(super) async fn read_body(&mut self) -> Result<Option<Bytes>, ClientError> {
        let read = self.session.read_request_body().await;
        read.map_err(|error| if self.is_malformed() { ClientError::Malformed } else { classify(&error) })
    }

    /// Resolves when the client has gone away. Cancel-safe.
    pub(super) async fn gone(&mut self) {
        // Bytes of a pipelined request are kept by the session and do not end the wait.
        while let Ok(_early) = self.session.read_body_or_idle(true).await {}
    }

    /// Tells the client to send its body (RFC 9110 section 10.1.1); HTTP/2 has no need of it.
    pub(super) async fn write_continue(&mut self, keep_alive: bool) -> io::Result<()> {
        self.session.write_continue_response().await.map_err(io::Error::other)?;
        // pingora gives the connection up at any head, this one too, that goes out before the body
        // has come in.
        self.session.set_keepalive(keep_alive.then_some(0));
        Ok(())
    }

    /// Writes the head, or holds it for the body that comes at once. `ends`: it has none.
    pub(super) async fn write_head(&mut self, head: Head, ends: bool, keep_alive: bool) -> io::Result<()> {
        let header = self.frame(head);
        if !keep_alive {
            self.session.set_keepalive(None);
        }
        self.hold_writes(true);
        let written = match &mut *self.session {
            // Where the head is all, it ends the stream as well: a frame less.
            ServerSession::H2(session) => {
                self.ended = ends;
                session.write_response_header(header, ends)
            }
            session => session.write_response_header(header).await,
        };
        written.map_err(io::Error::other)
    }

    /// Writes a piece of the body, with the head before it if both are short.
    pub(super) async fn write_body(&mut self, piece: Bytes, ends: bool) -> io::Result<()> {
        if self.ended {
            return Ok(());
        }
        self.hold_writes(ends && piece.len() <= JOINED);
        self.session.write_response_body(piece, ends).await.map_err(io::Error::other)
    }

    /// Cuts the response short: the stream ends with a reset, the connection without the last chunk.
    pub(super) fn abort(mut self) {
        if self.session.is_http2() {
            self.session.shutdown_with_reason(h2::Reason::INTERNAL_ERROR);
        }
    }

    /// Ends it after a complete response. Gives back an HTTP/1.1 connection that may carry another request.
    pub(super) async fn finish(mut self, patience: Duration) -> Option<(Stream, BytesMut)> {
        if let Some((hold, _)) = &self.connection {
            hold.reset_at_end(false);
        }
        self.session.set_total_drain_timeout(Some(patience));
        let is_malformed = self.is_malformed();
        if let ServerSession::H1(session) = &mut *self.session
            && (!session.will_keepalive() || is_malformed)
            && !session.is_body_done()
        {
            // pingora would close at once, and the reset that answers the rest of the body would take
            // the response with it.
            self.close_lingering().await;
            return None;
        }
        match self.session.finish().await {
            Ok(reusable) => {
                let (stream, rest) = reusable?.into_parts();
                let is_open = self.connection.is_none_or(|(_, gate)| gate.is_open());
                is_open.then(|| (stream, rest.unwrap_or_default()))
            }
            Err(error) => {
                tracing::debug!(%error, "the connection could not be finished");
                None
            }
        }
    }

    async fn close_lingering(self) {
        if let ServerSession::H1(mut session) = *self.session
            && session.finish_body().await.is_ok()
        {
            close_lingering(&mut session.into_inner()).await;
        }
    }

    /// The head with what frames the body.
    fn frame(&self, head: Head) -> Box<ResponseHeader> {
        let Head { status, reason, mut headers, length } = head;
        headers.remove(CONTENT_LENGTH);
        headers.remove(TRANSFER_ENCODING);
        headers.remove(CONNECTION);
        match length {
            Some(Length::Known(length)) => {
                headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
            }
            Some(Length::Unknown) if self.request().method == Method::HEAD => {}
            Some(Length::Unknown) if self.request().version == Version::HTTP_11 => {
                headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
            }
            // HTTP/1.0: the connection's end is the body's. HTTP/2: the stream's.
            Some(Length::Unknown) => {
                if let Some((hold, _)) = &self.connection {
                    // However it comes to an end short of this body's: also with the proxy's own.
                    hold.reset_at_end(true);
                }
            }
            None => {}
        }
        let (mut parts, ()) = http::Response::new(()).into_parts();
        parts.status = status;
        parts.headers = headers;
        let mut header = ResponseHeader::from(parts);
        if let Some(reason) = reason {
            // A phrase that pingora refuses is only a phrase.
            let _ = header.set_reason_phrase(Some(&reason));
        }
        Box::new(header)
    }

    /// Whether the body broke the rules of chunks; what follows it could be anything.
    pub(super) fn is_malformed(&self) -> bool {
        self.connection.as_ref().is_some_and(|(_, gate)| gate.is_shut())
    }

    fn hold_writes(&self, hold: bool) {
        if let Some((switch, _)) = &self.connection {
            switch.set(hold);
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
