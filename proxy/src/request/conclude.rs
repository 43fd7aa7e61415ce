//! What is said of a request at its end: counters, access log, and a line of its own for a failure. Called by the
//! request's story, and by `session` for a request that was refused before it had one.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::{CONNECTION, DATE};
use http::{HeaderMap, HeaderValue, StatusCode, Version};
use tidegate_contract::{Cause, ClientCertificate};
use tracing::Level;

use super::error::Failure;
use super::facts::Facts;
use super::trace_context::TraceContext;
use super::{headers, pages, split_target};
use crate::access::Record;
use crate::listener::Origin;
use crate::metrics;
use crate::reply::Body;
use crate::session::Exchange;
use crate::shared::Shared;

/// What the log will say beside the facts.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    /// The app, once a route was found.
    pub(crate) app: Option<Arc<str>>,
    /// The worker it was dispatched to last.
    pub(crate) worker: Option<u32>,
    /// Time in the queue, over all attempts.
    pub(crate) queue_wait: Option<Duration>,
    /// The user whose password was checked.
    pub(crate) user: Option<Arc<str>>,
    /// Bytes of the request's body.
    pub(crate) received: u64,
    pub(super) status: Option<StatusCode>,
    pub(super) is_file: bool,
}

/// Counts and logs a request at its end.
pub(super) fn conclude(
    exchange: &Exchange,
    shared: &Shared,
    facts: &Facts,
    trace: &Trace,
    failure: Option<&Failure>,
    duration: Duration,
) {
    let cause = failure.and_then(|failure| failure.cause);
    let status = match failure {
        // A response cut short keeps the status the client saw.
        Some(failure) if !exchange.is_head_sent() => failure.status,
        Some(failure) => trace.status.unwrap_or(failure.status),
        None => trace.status.unwrap_or(StatusCode::OK),
    };
    let (version, protocol) = match facts.version {
        Version::HTTP_2 => (metrics::Version::Http2, "HTTP/2"),
        Version::HTTP_10 => (metrics::Version::Http1, "HTTP/1.0"),
        _ => (metrics::Version::Http1, "HTTP/1.1"),
    };
    let http = &shared.metrics.http;
    http.finished(version, status.as_u16());
    http.sent(exchange.sent());
    http.received(trace.received);
    if let Some(cause) = cause {
        http.failed(cause);
    }
    if trace.is_file {
        shared.metrics.files.finished(status.as_u16());
        shared.metrics.files.sent(exchange.sent());
    }
    if let Some(failure) = failure
        && failure.cause.is_some()
    {
        log_failure(facts, trace, failure);
    }
    shared.access.log(&Record {
        time: SystemTime::now(),
        client: facts.origin.client,
        method: facts.method.as_str(),
        target: &facts.target,
        protocol,
        host: &facts.host,
        status: status.as_u16(),
        sent: exchange.sent(),
        duration,
        queue_wait: trace.queue_wait,
        app: trace.app.as_deref(),
        worker: trace.worker,
        certificate: facts.client_certificate.as_deref().and_then(ClientCertificate::subject),
        cause,
        request_id: &facts.id,
        trace_id: facts.trace_context.as_ref().map_or("", TraceContext::id),
        user: trace.user.as_deref().unwrap_or_default(),
        headers: Some(&exchange.request().headers),
    });
}

fn log_failure(facts: &Facts, trace: &Trace, failure: &Failure) {
    let cause = failure.cause.map_or("none", Cause::label);
    let app = trace.app.as_deref().unwrap_or("-");
    let worker = trace.worker.map_or(Cow::Borrowed("-"), |slot| Cow::Owned(slot.to_string()));
    let (path, _) = split_target(&facts.target);
    macro_rules! log {
        ($level:ident) => {
            tracing::$level!(
                cause,
                app,
                worker = %worker,
                method = %facts.method,
                path,
                request_id = %facts.id,
                trace_id = facts.trace_context.as_ref().map(TraceContext::id),
                detail = %failure.detail,
                "request failed"
            )
        };
    }
    match failure.level() {
        Level::ERROR => log!(error),
        Level::WARN => log!(warn),
        Level::INFO => log!(info),
        _ => log!(debug),
    }
}

/// The answer to an HTTP/1.1 request whose header was not accepted, ready for the wire; the
/// connection ends after it.
pub(crate) fn refuse_unread(failure: &Failure, origin: &Origin, shared: &Shared) -> Vec<u8> {
    let id = headers::new_request_id();
    let mut reply = pages::reply(failure, &HeaderMap::new(), &id, None);
    reply.headers.insert(CONNECTION, HeaderValue::from_static("close"));
    if let Ok(date) = HeaderValue::from_str(&httpdate::fmt_http_date(SystemTime::now())) {
        reply.headers.insert(DATE, date);
    }
    let mut wire = format!("HTTP/1.1 {}\r\n", reply.status).into_bytes();
    for (name, value) in &reply.headers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            wire.extend_from_slice(part);
        }
    }
    wire.extend_from_slice(b"\r\n");
    if let Body::Full(body) = &reply.body {
        wire.extend_from_slice(body);
    }
    shared.metrics.http.finished(metrics::Version::Http1, reply.status.as_u16());
    if let Some(cause) = failure.cause {
        shared.metrics.http.failed(cause);
    }
    tracing::debug!(client = %origin.peer, detail = %failure.detail, "request header refused");
    shared.access.log(&Record {
        time: SystemTime::now(),
        client: origin.peer.ip(),
        method: "",
        target: "",
        protocol: "",
        host: "",
        status: reply.status.as_u16(),
        sent: reply.body.len().unwrap_or(0),
        duration: Duration::ZERO,
        queue_wait: None,
        app: None,
        worker: None,
        certificate: origin.client_certificate.as_deref().and_then(ClientCertificate::subject),
        cause: failure.cause,
        request_id: &id,
        trace_id: "",
        user: "",
        headers: None,
    });
    wire
}
