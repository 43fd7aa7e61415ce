//! One call to a worker under a lease: connect or reuse, send, read the head, then the body.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request};
use tidegate_contract::{Cause, INTERNAL_HEADER, Outcome};
use tokio::time::Instant;

use super::Lease;
use super::backend::Backend;
use super::body::RequestBody;
use super::connection::{CallError, Connection};
use super::workers::Seat;

const INTERNAL: HeaderName = HeaderName::from_static(INTERNAL_HEADER);
/// The proxy answers itself this long after the worker should have.
const WORKER_HEAD_START: Duration = Duration::from_millis(250);

/// A worker's response, its body still to come.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Status and headers, the internal one taken out.
    pub(crate) head: http::response::Parts,
    /// What the internal header said.
    pub(crate) outcome: Outcome,
    /// The body.
    pub(crate) body: AnswerBody,
}

/// The body of a worker's response, and with it the connection and the lease.
pub(crate) struct AnswerBody {
    lease: Lease,
    connection: Connection,
    idle: Duration,
}

/// Why a call brought no response.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "lives for one match, and only after a failure")]
pub(crate) enum CallFailure {
    /// No byte of the request reached the worker.
    NotSent {
        /// The request, to be sent elsewhere.
        request: Request<RequestBody>,
        /// What stood in the way, for the log.
        reason: String,
    },
    /// The worker closed, and may have seen the request.
    Died {
        /// Which: until its death is known it may be had again.
        seat: Seat,
        /// In words, for the log.
        reason: &'static str,
    },
    /// The worker may have seen the request.
    Failed {
        /// Why.
        cause: Cause,
        /// In words, for the log.
        reason: String,
    },
}

/// Deadlines of a call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadlines {
    /// From dispatch to the response head.
    pub(crate) head: Duration,
    /// Between two pieces of the response.
    pub(crate) idle: Duration,
}

impl Lease {
    /// Sends `request` to the lease's worker and reads the response's head. Dropping the future
    /// cancels the request.
    pub(crate) async fn call(
        mut self,
        request: Request<RequestBody>,
        deadlines: Deadlines,
    ) -> Result<Answer, CallFailure> {
        let started = Instant::now();
        let deadline = started + deadlines.head + WORKER_HEAD_START;
        let backend = Arc::clone(self.backend());
        let mut request = request;
        let mut fresh = false;
        let (mut head, connection) = loop {
            let pooled = if fresh { None } else { backend.pooled(&request) };
            fresh = pooled.is_none();
            let mut connection = match pooled {
                Some(connection) => connection,
                None => match Connection::open(&backend, &request, backend.metrics.connected()).await {
                    Ok(connection) => connection,
                    Err(error) => {
                        backend.metrics.failed(Cause::WorkerUnreachable);
                        let reason = format!("cannot connect to {}: {error}", backend.endpoint);
                        self.unreachable();
                        return Err(CallFailure::NotSent { request, reason });
                    }
                },
            };
            self.sent();
            match tokio::time::timeout_at(deadline, connection.call(request)).await {
                Ok(Ok(head)) => break (head, connection),
                Ok(Err(CallError::NotSent(unsent))) => {
                    // A pooled connection that the worker had closed: a fresh one will tell more.
                    self.not_sent();
                    if fresh {
                        let reason = format!("{} closed before the request was sent", backend.endpoint);
                        backend.metrics.failed(Cause::WorkerUnreachable);
                        self.unreachable();
                        return Err(CallFailure::NotSent { request: unsent, reason });
                    }
                    request = unsent;
                }
                Ok(Err(CallError::Closed)) => {
                    backend.metrics.failed(Cause::WorkerDied);
                    self.unreachable();
                    return Err(CallFailure::Died {
                        seat: backend.seat,
                        reason: "closed before a full response header",
                    });
                }
                Ok(Err(CallError::Invalid(reason))) => return Err(backend.failed(Cause::WorkerInvalid, &reason)),
                Err(_) => {
                    return Err(backend.failed(Cause::WorkerTimeout, "the worker did not answer at all"));
                }
            }
        };
        let outcome = match head.headers.remove(INTERNAL) {
            None => Outcome::default(),
            Some(value) => match parse_outcome(&value) {
                Some(outcome) => outcome,
                None => return Err(backend.failed(Cause::WorkerInvalid, "malformed internal header")),
            },
        };
        backend.metrics.finished(head.status.as_u16(), started.elapsed());
        if let Some(cause) = outcome.cause {
            backend.metrics.failed(cause);
        }
        let body = AnswerBody { lease: self, connection, idle: deadlines.idle + WORKER_HEAD_START };
        Ok(Answer { head, outcome, body })
    }
}

fn parse_outcome(value: &HeaderValue) -> Option<Outcome> {
    Outcome::parse(value.to_str().ok()?).ok()
}

impl Backend {
    fn pooled(&self, request: &Request<RequestBody>) -> Option<Connection> {
        loop {
            let mut connection = self.idle.lock().take(request)?;
            if connection.is_usable() {
                return Some(connection);
            }
        }
    }

    fn failed(&self, cause: Cause, reason: &str) -> CallFailure {
        self.metrics.failed(cause);
        CallFailure::Failed { cause, reason: reason.to_owned() }
    }
}

impl AnswerBody {
    /// The worker that answers.
    pub(crate) fn backend(&self) -> &Arc<Backend> {
        self.lease.backend()
    }

    /// Whether the whole body has been read, so that [`Self::finish`] may be called.
    pub(crate) fn is_end(&self) -> bool {
        self.connection.is_end()
    }

    /// Whether the next piece is the whole of it, and on its way.
    pub(crate) fn is_short(&self) -> bool {
        self.connection.is_short()
    }

    /// The next piece, or nothing at the end. Cancel-safe: a piece not returned is not taken.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Cause> {
        match tokio::time::timeout(self.idle, self.connection.next()).await {
            Ok(None) => Ok(None),
            Ok(Some(Ok(data))) => Ok(Some(data)),
            Ok(Some(Err(_))) => {
                self.backend().metrics.failed(Cause::WorkerDied);
                Err(Cause::WorkerDied)
            }
            Err(_) => {
                self.backend().metrics.failed(Cause::WorkerTimeout);
                Err(Cause::WorkerTimeout)
            }
        }
    }

    /// Frees the slot and keeps the connection, after the body's end was read.
    pub(crate) fn finish(self) {
        let Self { lease, mut connection, .. } = self;
        if connection.is_usable() {
            lease.backend().idle.lock().keep(connection);
        }
        lease.finish();
    }
}

impl std::fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AnswerBody").field("lease", &self.lease).finish_non_exhaustive()
    }
}
