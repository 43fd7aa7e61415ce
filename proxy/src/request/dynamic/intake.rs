//! A request's body before a worker is asked for: taken in as a whole, so that no thread waits for
//! the client and the request can be repeated, or left to be streamed.

use std::sync::Arc;

use http::header::{CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Version};
use tidegate_contract::Cause;
use tidegate_site::{AppRoute, BufferLimits};

use super::super::error::Failure;
use super::super::{Facts, Trace, client_failure};
use super::feed::Feed;
use crate::buffer::{Buffers, Full, Spool, Stored};
use crate::session::Exchange;
use crate::upstream::RequestBody;

/// What attempts get their body from.
pub(super) enum Supply {
    /// There is none.
    Empty,
    /// The whole of it.
    Stored(Arc<Stored>),
    /// As the client sends it, once.
    Streamed(Option<RequestBody>),
}

impl Supply {
    /// The body for an attempt.
    pub(super) fn open(&mut self) -> RequestBody {
        match self {
            Self::Empty => RequestBody::empty(),
            Self::Stored(stored) => RequestBody::stored(stored),
            // What has been streamed away is not asked for again.
            Self::Streamed(body) => body.take().unwrap_or_else(RequestBody::empty),
        }
    }

    /// Whether another attempt gets the same body.
    pub(super) fn may_be_opened_again(&self) -> bool {
        !matches!(self, Self::Streamed(_))
    }

    /// Says in the fields of a request how the body is framed that was taken in.
    pub(super) fn frame(&self, headers: &mut HeaderMap) {
        if let Self::Stored(stored) = self {
            headers.remove(EXPECT);
            headers.insert(CONTENT_LENGTH, HeaderValue::from(stored.length()));
        }
    }
}

/// What taking in a body needs to know.
pub(super) struct Intake<'a> {
    pub(super) route: &'a AppRoute,
    pub(super) facts: &'a Facts,
    pub(super) limits: &'a BufferLimits,
    pub(super) buffers: &'a Arc<Buffers>,
}

impl Intake<'_> {
    /// Takes in the body, or its beginning. `headers`, of the request to the worker, say afterwards how
    /// the body is framed.
    pub(super) async fn run(
        &self,
        exchange: &mut Exchange,
        headers: &mut HeaderMap,
        trace: &mut Trace,
    ) -> Result<(Supply, Feed), Failure> {
        let expects = self.facts.version == Version::HTTP_11
            && headers.get(EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
        if !exchange.has_body_left() {
            return Ok((Supply::Empty, Feed::finished(0)));
        }
        let length: Option<u64> = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        if length.is_some_and(|length| length > self.route.max_body) {
            return Err(Failure::body_too_large());
        }
        let fits_memory = length.is_some_and(|length| length <= self.limits.memory as u64);
        if self.route.buffering && (fits_memory || self.limits.disk > 0) {
            if expects {
                exchange.send_continue().await.map_err(client_failure)?;
            }
            let supply = Supply::Stored(self.take_in(exchange, trace).await?);
            supply.frame(headers);
            return Ok((supply, Feed::finished(trace.received)));
        }
        if length.is_none() {
            // Without a word on it hyper takes a GET or HEAD for one without a body.
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        let (mut feed, body) = Feed::streaming(length, expects, self.route.max_body);
        let ahead = if self.route.buffering { self.limits.memory } else { 0 };
        let read = feed.read_ahead(exchange, ahead).await;
        trace.received = feed.received;
        read?;
        Ok((Supply::Streamed(Some(body)), feed))
    }

    async fn take_in(&self, exchange: &mut Exchange, trace: &mut Trace) -> Result<Arc<Stored>, Failure> {
        let mut spool = Spool::new(self.buffers, self.limits);
        while let Some(piece) = exchange.read_body().await.map_err(client_failure)? {
            trace.received += piece.len() as u64;
            if trace.received > self.route.max_body {
                return Err(Failure::body_too_large());
            }
            spool.push(piece);
            spool.relieve().map_err(no_room)?;
            spool.settle().await.map_err(no_room)?;
        }
        Ok(spool.store())
    }
}

fn no_room(full: Full) -> Failure {
    Failure::new(Cause::BufferFull, full.to_string())
}
