//! A worker's response on its way to the client. What the client does not take at once waits in a spool,
//! so that the worker is done when its response is complete, not when it was read.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE, ETAG,
    LAST_MODIFIED,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use hyper::ext::ReasonPhrase;
use tidegate_contract::Cause;
use tidegate_site::Rules;

use super::super::error::Failure;
use super::super::hand_over::{self, HandOver};
use super::super::{Facts, Trace, client_failure, headers, pages, set_request_id};
use super::feed::Feed;
use super::relay::Relay;
use crate::buffer::Spool;
use crate::compress::{self, Compressors};
use crate::session::{Exchange, Head, Length};
use crate::upstream::{Answer, AnswerBody};

/// Bytes of an app's answer that are read only to be rid of them.
const DISCARDED: usize = 1 << 20;

/// What sending a response needs beside the response.
pub(super) struct Response<'a> {
    pub(super) exchange: &'a mut Exchange,
    pub(super) feed: &'a mut Feed,
    pub(super) facts: &'a Facts,
    pub(super) timeout_status: u16,
    /// Where it waits for the client.
    pub(super) spool: Spool<'a>,
    /// Whether it may wait there, so that the worker need not.
    pub(super) buffering: bool,
    /// The route's.
    pub(super) rules: &'a Rules,
    pub(super) compressors: &'a Arc<Compressors>,
}

impl Response<'_> {
    /// Sends a worker's response to the client, or gives back the file that it names in place of a body.
    pub(super) async fn send(self, answer: Answer, trace: &mut Trace) -> Result<Option<HandOver>, Failure> {
        let Self { exchange, feed, facts, timeout_status, spool, buffering, rules, compressors } = self;
        let Answer { head, outcome, mut body } = answer;
        match outcome.cause {
            // Its thread is not back: the lease is left to the worker's word.
            Some(Cause::WorkerTimeout) => {
                return Err(Failure::worker_timeout(timeout_status, "the app did not answer in time"));
            }
            Some(cause) => {
                if matches!(body.next().await, Ok(None)) {
                    body.finish();
                }
                return Err(Failure::new(cause, "see the app's log for the traceback"));
            }
            None => {}
        }
        if head.status.is_informational() {
            let detail = format!("status {} is not a response to this request", head.status.as_u16());
            return Err(Failure::new(Cause::WorkerInvalid, detail));
        }
        let mut headers = head.headers;
        let declared = match outcome.length {
            Some(length) => Some(length),
            None => headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok()),
        };
        headers::strip_response(&mut headers);
        if let Some(handed) = hand_over::taken_from(head.status, &mut headers) {
            leave(body);
            return Ok(Some(handed));
        }
        set_request_id(&mut headers, &facts.id);
        let bodiless = matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let length = (!bodiless).then_some(declared.map_or(Length::Unknown, Length::Known));
        let reason = head.extensions.get::<ReasonPhrase>();
        let reason = reason.and_then(|reason| std::str::from_utf8(reason.as_bytes()).ok()).map(str::to_owned);
        trace.status = Some(head.status);
        if let Some(page) = pages::in_place_of(rules, head.status, &exchange.request().headers, &facts.id) {
            discard(body).await;
            return send_page(page, head.status, headers, exchange).await.map(|()| None);
        }
        let mut head = Head { status: head.status, reason, headers, length };
        let is_head = facts.method == Method::HEAD;

        // What is here already, or is short, goes out in one write, and the worker is free before the client reads.
        let first = if body.is_short() {
            Some(body.next().await.map_err(cut_short(timeout_status))?)
        } else {
            let first = body.next().now_or_never().transpose();
            first.map_err(cut_short(timeout_status))?
        };
        let whole = match &first {
            Some(None) => true,
            Some(Some(_)) => body.is_end(),
            None => false,
        };
        let here = first.as_ref().and_then(|first| first.as_ref()).map_or(0, Bytes::len);
        let known = if whole && !is_head { Some(here as u64) } else { declared };
        let request = &exchange.request().headers;
        let planned = compressors.plan(rules.app_compression(), request, head.status, &mut head.headers, known);
        if whole {
            let mut bytes = first.flatten().unwrap_or_default();
            body.finish();
            check_length(declared, bytes.len() as u64, bodiless || is_head)?;
            match planned {
                Some(_) if is_head => head.length = Some(Length::Unknown),
                Some(planned) => {
                    bytes = compressors.whole(planned, bytes).await.map_err(compress::failed)?;
                    head.length = Some(Length::Known(bytes.len() as u64));
                }
                None if head.length == Some(Length::Unknown) && !is_head => {
                    head.length = Some(Length::Known(bytes.len() as u64));
                }
                None => {}
            }
            return exchange.send_whole(head, bytes).await.map(|()| None).map_err(client_failure);
        }
        let stream = match planned {
            Some(planned) => {
                head.length = Some(Length::Unknown);
                (!is_head).then(|| compressors.stream(planned)).transpose().map_err(compress::failed)?
            }
            None => None,
        };
        exchange.send_head(head).await.map_err(client_failure)?;
        let bodiless = bodiless || is_head;
        let mut relay = Relay {
            source: Some(body),
            spool,
            buffering,
            stream,
            declared,
            bodiless,
            timeout_status,
            taken: 0,
            failure: None,
        };
        relay.run(first.flatten(), exchange, feed).await?;
        exchange.end().await.map(|()| None).map_err(client_failure)
    }
}

/// Gives up a body that nobody wants, at once: its thread is told when it next sends.
fn leave(mut body: AnswerBody) {
    while let Some(next) = body.next().now_or_never() {
        match next {
            Ok(Some(_)) if body.is_end() => return body.finish(),
            Ok(Some(_)) => {}
            Ok(None) => return body.finish(),
            Err(_) => return,
        }
    }
}

/// Reads a body that nobody wants to its end, so that its thread's slot is free at once. What goes on for
/// too long is cut off, and its slot freed by the worker's word.
async fn discard(mut body: AnswerBody) {
    let mut left = DISCARDED;
    while left > 0 {
        match body.next().await {
            Ok(Some(piece)) => left = left.saturating_sub(piece.len()),
            Ok(None) => return body.finish(),
            Err(_) => return,
        }
    }
}

/// Sends the operator's page in place of an app's; the fields that are not about the app's body stay.
async fn send_page(
    (content_type, page): (&'static str, Bytes),
    status: StatusCode,
    mut headers: HeaderMap,
    exchange: &mut Exchange,
) -> Result<(), Failure> {
    for name in [CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_DISPOSITION, ETAG, LAST_MODIFIED] {
        headers.remove(name);
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let head = Head { status, reason: None, headers, length: Some(Length::Known(page.len() as u64)) };
    exchange.send_whole(head, page).await.map_err(client_failure)
}

pub(super) fn cut_short(timeout_status: u16) -> impl Fn(Cause) -> Failure {
    move |cause| match cause {
        Cause::WorkerTimeout => Failure::worker_timeout(timeout_status, "the app paused too long within its response"),
        cause => Failure::new(cause, "the response broke off"),
    }
}

pub(super) fn check_length(declared: Option<u64>, sent: u64, bodiless: bool) -> Result<(), Failure> {
    match declared {
        Some(declared) if declared != sent && !bodiless => {
            let detail = format!("response of {sent} bytes that declared {declared}");
            Err(Failure::new(Cause::WorkerInvalid, detail))
        }
        _ => Ok(()),
    }
}
