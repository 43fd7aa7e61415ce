//! The one table from cause to status, log level and Retry-After. Every module of the request
//! path makes its failures here; no other file picks a 4xx or 5xx. `pages.rs` turns a failure into a
//! reply, the request's story logs and counts it.

use std::borrow::Cow;
use std::time::Duration;

use http::{HeaderValue, StatusCode};
use tidegate_contract::Cause;
use tracing::Level;

/// Why a request gets no ordinary answer, and what the client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The label in metrics, log and page. `None` for an ordinary negative answer such as 404,
    /// which is nobody's fault and not counted as one.
    pub(crate) cause: Option<Cause>,
    /// The status. 499 is never sent; it is what log and metrics say of a client that left.
    pub(crate) status: StatusCode,
    /// Seconds for Retry-After.
    pub(crate) retry_after: Option<u32>,
    /// What people are told instead of the usual sentence.
    pub(crate) message: Option<Box<str>>,
    /// Whether the connection ends with the reply (HTTP/1.1), because its framing is in doubt or
    /// the rest of the request is not worth reading.
    pub(crate) close: bool,
    /// A field that the status requires.
    pub(crate) field: Option<Field>,
    /// For the log; never shown to clients.
    pub(crate) detail: Cow<'static, str>,
}

/// A header field that belongs to a status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Field {
    /// `WWW-Authenticate`, with 401.
    Authenticate(HeaderValue),
    /// `Allow`, with 405.
    Allow(&'static str),
    /// `Content-Range: bytes */N`, with 416.
    ContentRange(u64),
}

/// One row of the table.
struct Row {
    status: StatusCode,
    level: Level,
    retry_after: Option<u32>,
    close: bool,
}

/// The table (design: causes and statuses). Client mistakes are logged at debug, failures of the
/// app or of capacity at warn, our own faults at error.
const fn row(cause: Cause) -> Row {
    let (status, level, retry_after, close) = match cause {
        Cause::WorkerTimeout | Cause::WorkerDied | Cause::WorkerUnreachable | Cause::WorkerInvalid => {
            (StatusCode::BAD_GATEWAY, Level::WARN, None, false)
        }
        // A full queue is a flood: far enough apart that the retries do not arrive with it.
        Cause::QueueFull | Cause::QueueTimeout => (StatusCode::SERVICE_UNAVAILABLE, Level::WARN, Some(5), false),
        // The rest of the body is not worth reading: there is no place for it.
        Cause::BufferFull => (StatusCode::SERVICE_UNAVAILABLE, Level::WARN, Some(30), true),
        Cause::NoBackend => (StatusCode::SERVICE_UNAVAILABLE, Level::WARN, Some(5), false),
        Cause::Draining => (StatusCode::SERVICE_UNAVAILABLE, Level::INFO, Some(5), true),
        Cause::Maintenance => (StatusCode::SERVICE_UNAVAILABLE, Level::DEBUG, Some(600), false),
        Cause::ClientClosed => (client_closed_request(), Level::DEBUG, None, true),
        Cause::ClientTimeout => (StatusCode::REQUEST_TIMEOUT, Level::DEBUG, None, true),
        Cause::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, Level::DEBUG, None, true),
        Cause::BadRequest => (StatusCode::BAD_REQUEST, Level::DEBUG, None, true),
        Cause::RateLimited => (StatusCode::TOO_MANY_REQUESTS, Level::DEBUG, Some(1), false),
        // Turns are short where they are limited.
        Cause::ConcurrencyLimited => (StatusCode::SERVICE_UNAVAILABLE, Level::DEBUG, Some(1), false),
        Cause::Forbidden => (StatusCode::FORBIDDEN, Level::DEBUG, None, false),
        Cause::AppError => (StatusCode::INTERNAL_SERVER_ERROR, Level::WARN, None, false),
        Cause::Internal => (StatusCode::INTERNAL_SERVER_ERROR, Level::ERROR, None, false),
    };
    Row { status, level, retry_after, close }
}

/// nginx's 499, known to every log reader.
const fn client_closed_request() -> StatusCode {
    match StatusCode::from_u16(499) {
        Ok(status) => status,
        Err(_) => StatusCode::BAD_REQUEST,
    }
}

/// The level at which a failure with this cause is logged.
pub(crate) fn level(cause: Cause) -> Level {
    row(cause).level
}

impl Failure {
    /// A failure with the status that its cause has in the table.
    pub(crate) fn new(cause: Cause, detail: impl Into<Cow<'static, str>>) -> Self {
        let Row { status, retry_after, close, .. } = row(cause);
        Self { cause: Some(cause), status, retry_after, message: None, close, field: None, detail: detail.into() }
    }

    /// A host that the operator has closed.
    pub(crate) fn maintenance(message: Option<&str>, retry_after: Duration) -> Self {
        let retry_after = retry_after.as_secs().try_into().unwrap_or(u32::MAX);
        let failure = Self::new(Cause::Maintenance, "closed for maintenance");
        Self { message: message.map(Into::into), retry_after: Some(retry_after), ..failure }
    }

    /// A client over a rate limit, and how long until it may send again.
    pub(crate) fn rate_limited(wait: Duration) -> Self {
        let seconds = wait.as_millis().div_ceil(1000).max(1);
        let failure = Self::new(Cause::RateLimited, "over a rate limit (rate_limits)");
        Self { retry_after: Some(seconds.try_into().unwrap_or(u32::MAX)), ..failure }
    }

    /// A request past its deadline: 502, unless the app has `timeout_status: 504`.
    pub(crate) fn worker_timeout(timeout_status: u16, detail: impl Into<Cow<'static, str>>) -> Self {
        let failure = Self::new(Cause::WorkerTimeout, detail);
        if timeout_status == StatusCode::GATEWAY_TIMEOUT.as_u16() {
            return Self { status: StatusCode::GATEWAY_TIMEOUT, ..failure };
        }
        failure
    }

    /// A request whose meaning is in doubt: 400 and the connection ends.
    pub(crate) fn bad_request(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Cause::BadRequest, detail)
    }

    /// A body over its limit: 413.
    pub(crate) fn body_too_large() -> Self {
        Self::new(Cause::TooLarge, "body over its limit")
    }

    /// A header over a limit: 431.
    pub(crate) fn header_too_large(detail: &'static str) -> Self {
        Self { status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, ..Self::new(Cause::TooLarge, detail) }
    }

    /// A target over its limit: 414.
    pub(crate) fn target_too_long() -> Self {
        Self { status: StatusCode::URI_TOO_LONG, ..Self::new(Cause::TooLarge, "target over its limit") }
    }

    /// CONNECT, or a transfer coding that is not known here: 501 (RFC 9112 section 6.1).
    pub(crate) fn not_implemented(detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status: StatusCode::NOT_IMPLEMENTED, ..Self::new(Cause::BadRequest, detail) }
    }

    /// A host that this site does not have: 421 (RFC 9110 section 15.5.20). Not 404, because
    /// browsers share an HTTP/2 connection among the names of a certificate, and 421 alone makes
    /// them ask again on a connection of the right name.
    pub(crate) fn misdirected() -> Self {
        Self::ordinary(StatusCode::MISDIRECTED_REQUEST, "no virtual host has this name")
    }

    /// 401 with the challenge: no name and password, or wrong ones.
    pub(crate) fn unauthorized(challenge: HeaderValue) -> Self {
        let failure = Self::ordinary(StatusCode::UNAUTHORIZED, "no right name and password");
        Self { field: Some(Field::Authenticate(challenge)), ..failure }
    }

    /// 404.
    pub(crate) fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::ordinary(StatusCode::NOT_FOUND, detail)
    }

    /// 405 with Allow.
    pub(crate) fn method_not_allowed(allow: &'static str) -> Self {
        let failure = Self::ordinary(StatusCode::METHOD_NOT_ALLOWED, "method not allowed here");
        Self { field: Some(Field::Allow(allow)), ..failure }
    }

    /// 412: If-Match or If-Unmodified-Since does not hold.
    pub(crate) fn precondition_failed() -> Self {
        Self::ordinary(StatusCode::PRECONDITION_FAILED, "precondition does not hold")
    }

    /// 416 with the real length.
    pub(crate) fn range_not_satisfiable(length: u64) -> Self {
        let failure = Self::ordinary(StatusCode::RANGE_NOT_SATISFIABLE, "no requested range lies within the file");
        Self { field: Some(Field::ContentRange(length)), ..failure }
    }

    /// A negative answer that is nobody's failure.
    fn ordinary(status: StatusCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { cause: None, status, retry_after: None, message: None, close: false, field: None, detail: detail.into() }
    }

    /// The level at which this is logged.
    pub(crate) fn level(&self) -> Level {
        self.cause.map_or(Level::DEBUG, level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_one_of_the_design() {
        let table = [
            (Cause::WorkerTimeout, 502, Level::WARN, false),
            (Cause::WorkerDied, 502, Level::WARN, false),
            (Cause::WorkerUnreachable, 502, Level::WARN, false),
            (Cause::WorkerInvalid, 502, Level::WARN, false),
            (Cause::QueueFull, 503, Level::WARN, true),
            (Cause::QueueTimeout, 503, Level::WARN, true),
            (Cause::BufferFull, 503, Level::WARN, true),
            (Cause::NoBackend, 503, Level::WARN, true),
            (Cause::Draining, 503, Level::INFO, true),
            (Cause::Maintenance, 503, Level::DEBUG, true),
            (Cause::ClientClosed, 499, Level::DEBUG, false),
            (Cause::ClientTimeout, 408, Level::DEBUG, false),
            (Cause::TooLarge, 413, Level::DEBUG, false),
            (Cause::BadRequest, 400, Level::DEBUG, false),
            (Cause::RateLimited, 429, Level::DEBUG, true),
            (Cause::ConcurrencyLimited, 503, Level::DEBUG, true),
            (Cause::Forbidden, 403, Level::DEBUG, false),
            (Cause::AppError, 500, Level::WARN, false),
            (Cause::Internal, 500, Level::ERROR, false),
        ];
        assert_eq!(table.map(|(cause, ..)| cause), Cause::ALL);
        for (cause, status, level, retries) in table {
            let failure = Failure::new(cause, "");
            assert_eq!(failure.status.as_u16(), status, "{cause:?}");
            assert_eq!(failure.level(), level, "{cause:?}");
            assert_eq!(failure.retry_after.is_some(), retries, "{cause:?}");
        }
    }

    #[test]
    fn only_504_replaces_the_status_of_a_timeout() {
        for (configured, status) in [(502, 502), (504, 504), (200, 502)] {
            let failure = Failure::worker_timeout(configured, "");
            assert_eq!((failure.cause, failure.status.as_u16()), (Some(Cause::WorkerTimeout), status));
        }
    }

    #[test]
    fn variants_keep_their_cause() {
        for (failure, cause, status) in [
            (Failure::body_too_large(), Some(Cause::TooLarge), 413),
            (Failure::header_too_large(""), Some(Cause::TooLarge), 431),
            (Failure::target_too_long(), Some(Cause::TooLarge), 414),
            (Failure::not_implemented(""), Some(Cause::BadRequest), 501),
            (Failure::misdirected(), None, 421),
            (Failure::not_found(""), None, 404),
            (Failure::method_not_allowed("GET"), None, 405),
            (Failure::precondition_failed(), None, 412),
            (Failure::range_not_satisfiable(3), None, 416),
        ] {
            assert_eq!((failure.cause, failure.status.as_u16()), (cause, status));
        }
    }
}
