//! The attempts to get a response's head: queue, worker, and once more where that is safe.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use tidegate_contract::Cause;
use tidegate_site::Priority;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::super::Trace;
use super::super::error::Failure;
use super::intake::Supply;
use super::template::{self, Template};
use crate::upstream::{Answer, App, CallFailure, Deadlines, Lease, RequestBody, Seat};

/// Workers that could not be connected to before the request is given up. Between attempts it
/// waits in the queue, so this counts workers that vanished, not tries a second.
const UNREACHABLE_WORKERS: u32 = 8;

/// The attempts to get a response head.
pub(super) struct Attempts<'a> {
    pub(super) app: &'a Arc<App>,
    pub(super) method: &'a Method,
    pub(super) priority: Priority,
    pub(super) queue_timeout: Duration,
    pub(super) timeout_status: u16,
    pub(super) deadlines: Deadlines,
    pub(super) supply: Supply,
    pub(super) started: Option<oneshot::Sender<()>>,
    pub(super) informed: Option<oneshot::Sender<()>>,
    pub(super) trace: &'a mut Trace,
    /// Attempts so far that no worker can have seen.
    pub(super) unreachable: u32,
    /// The worker that died under it.
    pub(super) died: Option<Seat>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// The worker died, and the request may be sent once more.
    Repeat,
    /// There will be none.
    Failed(Failure),
}

impl Attempts<'_> {
    /// Runs until a worker answers or no more may be asked.
    pub(super) async fn run(&mut self, template: Template) -> Result<Answer, Unanswered> {
        let (mut request, mut dispatch) = template.into_request(self.supply.open());
        self.watch_informational(&mut request);
        loop {
            let lease = self.acquire().await?;
            if let Some(started) = self.started.take() {
                // The feed may have ended with the client; then nobody waits for this.
                let _ = started.send(());
            }
            self.trace.worker = Some(lease.backend().slot);
            template::address(&mut request, &mut dispatch, &lease, self.deadlines);
            match lease.call(request, self.deadlines).await {
                Ok(answer) => return Ok(answer),
                Err(CallFailure::NotSent { request: unsent, reason }) => {
                    self.unreachable += 1;
                    if self.unreachable > UNREACHABLE_WORKERS {
                        return Err(Failure::new(Cause::WorkerUnreachable, reason).into());
                    }
                    tracing::debug!(app = %self.trace.app.as_deref().unwrap_or("-"), %reason, "trying another worker");
                    request = unsent;
                }
                Err(CallFailure::Died { seat, reason }) => {
                    let may_repeat = is_idempotent(self.method) && self.supply.may_be_opened_again();
                    if !may_repeat || self.has_died_again(seat) {
                        return Err(Failure::new(Cause::WorkerDied, reason).into());
                    }
                    return Err(Unanswered::Repeat);
                }
                Err(CallFailure::Failed { cause: Cause::WorkerTimeout, reason }) => {
                    return Err(Failure::worker_timeout(self.timeout_status, reason).into());
                }
                Err(CallFailure::Failed { cause, reason }) => return Err(Failure::new(cause, reason).into()),
            }
        }
    }

    /// Whether a second worker died under the request. The one that had before may still have been listening, with
    /// nobody left to answer: that counts as one more that could not be connected to.
    fn has_died_again(&mut self, seat: Seat) -> bool {
        match self.died.replace(seat) {
            None => false,
            Some(before) if before == seat => {
                self.unreachable += 1;
                self.unreachable > UNREACHABLE_WORKERS
            }
            Some(_) => true,
        }
    }

    async fn acquire(&mut self) -> Result<Lease, Failure> {
        let began = Instant::now();
        let lease = self.app.acquire(self.priority, self.queue_timeout).await;
        let waited = began.elapsed();
        *self.trace.queue_wait.get_or_insert_default() += waited;
        match lease {
            Ok(lease) => {
                self.app.metrics.waited(waited);
                Ok(lease)
            }
            Err(cause) => Err(refused(cause)),
        }
    }

    /// For a streamed body 100 Continue is the worker's to give: it comes when the app first reads.
    fn watch_informational(&mut self, request: &mut http::Request<RequestBody>) {
        if let Some(informed) = self.informed.take() {
            let informed = parking_lot::Mutex::new(Some(informed));
            hyper::ext::on_informational(request, move |response| {
                if response.status() == StatusCode::CONTINUE
                    && let Some(informed) = informed.lock().take()
                {
                    let _ = informed.send(());
                }
            });
        }
    }
}

impl From<Failure> for Unanswered {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// The failure of a request that gets no worker.
pub(super) fn refused(cause: Cause) -> Failure {
    let detail = match cause {
        Cause::QueueFull => "every thread is busy and the queue is full (queue.size)",
        Cause::QueueTimeout => "waited too long for a free thread (queue.timeout)",
        Cause::Draining => "the app server is stopping",
        _ => "no worker serves the app: it failed to start, or the app server is gone; see the app server's log",
    };
    Failure::new(cause, detail)
}

/// RFC 9110 section 9.2.2.
fn is_idempotent(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE)
}
