//! What happens when a request passes its deadline: the client is answered at once by the I/O
//! thread, which never waits for Python; everything that needs Python (the stack, and the
//! exception thrown into the thread) is done here, by a native thread of its own.
//!
//! The order is fixed: the record of the timeout is written to the supervisor before the thread
//! is interrupted, because the interruption may bring the process down.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use pyo3::Python;
use tidegate_contract::{FromWorker, Interruption};
use tokio::time::sleep;

use crate::log;
use crate::request::Request;
use crate::shared::Shared;
use crate::stack;
use crate::wsgi::timeout;

/// How long Python may take to give the stack.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);
pub(crate) const GIL_HELD: &str = "the interpreter did not answer within 1 s: something holds the GIL";
pub(crate) const NOT_STARTED: &str = "no thread had taken the request";
/// Most apps notice soon by their input or output that a client has gone; only one that does not is interrupted.
const TIME_TO_NOTICE: Duration = Duration::from_secs(1);
const BACK_ALREADY: &str = "its thread came back before the stack was read";

/// Whom to interrupt.
struct Order {
    request: Arc<Request>,
    because: Interruption,
}

/// Takes requests that passed their deadline, or whose client has gone; the thread behind it starts with the first.
#[derive(Default)]
pub(crate) struct Watchdog {
    queue: Mutex<Option<Sender<Order>>>,
}

impl Watchdog {
    /// Gives a request up. Called by the I/O thread.
    pub(crate) fn timed_out(&self, shared: &'static Shared, request: &Arc<Request>) {
        request.cut();
        if request.seat().is_none() {
            let reason = if request.is_back() { BACK_ALREADY } else { NOT_STARTED };
            if request.claim_report() {
                shared.supervisor.say(record(request, Err(reason)));
            }
            return;
        }
        self.hand_over(shared, Arc::clone(request), Interruption::Timeout);
        tokio::spawn(answer_for_python(shared, Arc::clone(request)));
        tokio::spawn(wait_for_return(shared, Arc::clone(request)));
    }

    /// Takes over a request whose client has gone: nobody waits for its deadline any more, but its thread would be
    /// lost without one. Where the app asks for it, the request is interrupted as soon as it had time to end by
    /// itself. Called by the I/O thread.
    pub(crate) fn client_gone(&'static self, shared: &'static Shared, request: &Arc<Request>) {
        let cancels = shared.launch.cancel_when_client_gone;
        let patience = if cancels { TIME_TO_NOTICE } else { time_left(request) };
        // Most are over long before: they are not kept until then.
        let request = Arc::downgrade(request);
        tokio::spawn(async move {
            sleep(patience).await;
            let Some(request) = request.upgrade().filter(|request| request.seat().is_some()) else { return };
            if cancels {
                request.mark_gone();
                self.hand_over(shared, Arc::clone(&request), Interruption::ClientGone);
                wait_for_return(shared, request).await;
            } else {
                self.timed_out(shared, &request);
            }
        });
    }

    fn hand_over(&self, shared: &'static Shared, request: Arc<Request>, because: Interruption) {
        let mut queue = self.queue.lock();
        let sender = queue.get_or_insert_with(|| {
            let (sender, receiver) = channel();
            let started = thread::Builder::new().name("tidegate-watchdog".to_owned());
            if let Err(error) = started.spawn(move || watch(shared, &receiver)) {
                log::line(&format!("failed to start the watchdog thread: {error}"));
            }
            sender
        });
        // Without the thread the record says that there was no answer, and the grace period ends.
        let _ = sender.send(Order { request, because });
    }
}

/// To the end of the time for the response's head or, if that has passed, of the time for its next chunk.
fn time_left(request: &Request) -> Duration {
    let left = Duration::from_millis(request.dispatch.timeout_ms).saturating_sub(request.arrived.elapsed());
    if left.is_zero() { Duration::from_millis(request.dispatch.idle_ms) } else { left }
}

async fn answer_for_python(shared: &'static Shared, request: Arc<Request>) {
    sleep(PATIENCE).await;
    if request.claim_report() {
        shared.supervisor.say(record(&request, Err(GIL_HELD)));
    }
}

async fn wait_for_return(shared: &'static Shared, request: Arc<Request>) {
    sleep(Duration::from_millis(shared.launch.timeout_grace_ms)).await;
    if !request.is_back() {
        request.condemn(false);
    }
}

fn watch(shared: &'static Shared, queue: &Receiver<Order>) {
    while let Ok(Order { request, because }) = queue.recv() {
        Python::attach(|py| {
            if because == Interruption::ClientGone {
                return interrupt(py, &request, because);
            }
            let stack = match request.seat() {
                Some(seat) => stack::of(py, &seat),
                None => Err(BACK_ALREADY.to_owned()),
            };
            if request.claim_report() {
                let record = record(&request, stack.as_deref().map_err(String::as_str));
                py.detach(|| shared.supervisor.say_and_wait(record, PATIENCE));
            }
            interrupt(py, &request, because);
        });
    }
}

/// Throws the exception into the request's thread, if it still runs that request.
fn interrupt(py: Python<'_>, request: &Arc<Request>, because: Interruption) {
    let Some(seat) = request.seat() else { return };
    let running = seat.running.lock();
    if running.as_ref().is_some_and(|running| Arc::ptr_eq(running, request)) {
        request.mark_interrupted();
        timeout::throw(py, &seat, because);
    }
}

fn record(request: &Request, stack: Result<&str, &str>) -> FromWorker {
    FromWorker::TimedOut {
        request_id: request.dispatch.request_id.clone(),
        method: request.head.method.to_string(),
        path: request.head.uri.path().to_owned(),
        age_ms: u64::try_from(request.arrived.elapsed().as_millis()).unwrap_or(u64::MAX),
        stack: stack.ok().map(str::to_owned),
        no_stack: stack.err().map(str::to_owned),
    }
}
