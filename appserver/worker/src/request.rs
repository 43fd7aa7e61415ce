//! One request, as the I/O thread and the Python thread that runs it share it: what the client
//! sent, and who has to say what to the supervisor about its slot.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Instant;

use bytes::Bytes;
use http::header;
use http::request::Parts;
use parking_lot::Mutex;
use tidegate_contract::{Dispatch, FromWorker, Interruption};

use crate::io::ReplyTo;
use crate::shared::Shared;
use crate::threads::Seat;
use crate::upload::Upload;

/// The response was cut short, or its connection has ended.
const CUT: u8 = 1;
/// The thread is back.
const BACK: u8 = 2;
/// An exception was thrown into the thread.
const INTERRUPTED: u8 = 4;
/// The timeout has been reported.
const REPORTED: u8 = 8;
/// The supervisor was told to replace this process because of this request.
const CONDEMNED: u8 = 16;
/// It has been slow.
const SLOW: u8 = 32;
/// If it is interrupted, it is because its client has gone.
const GONE: u8 = 64;

/// A request and the way its response goes back.
pub(crate) struct Job {
    pub(crate) request: Arc<Request>,
    pub(crate) reply: ReplyTo,
}

/// A request.
pub(crate) struct Request {
    pub(crate) head: Parts,
    pub(crate) body: Body,
    /// What the proxy said, or defaults for a request that came past it.
    pub(crate) dispatch: Dispatch,
    /// Whether it came past the proxy.
    pub(crate) direct: bool,
    pub(crate) arrived: Instant,
    shared: &'static Shared,
    state: AtomicU8,
    /// The thread that runs it.
    seat: Mutex<Option<Arc<Seat>>>,
}

/// A request's body.
pub(crate) enum Body {
    /// There is none.
    Empty,
    /// A small one, read before the request was given to a thread.
    Whole(Bytes),
    /// Read on demand.
    Streamed(Arc<Upload>),
}

impl Request {
    pub(crate) fn new(
        shared: &'static Shared,
        head: Parts,
        body: Body,
        dispatch: Dispatch,
        direct: bool,
        arrived: Instant,
    ) -> Arc<Self> {
        Arc::new(Self {
            head,
            body,
            dispatch,
            direct,
            arrived,
            shared,
            state: AtomicU8::new(0),
            seat: Mutex::new(None),
        })
    }

    /// The response is cut short or its connection has ended: the proxy can no longer learn from
    /// it that the thread is back. Called by the I/O thread, any number of times. Returns whether this was the first
    /// and the thread is not back yet.
    pub(crate) fn cut(&self) -> bool {
        let before = self.state.fetch_or(CUT, Ordering::AcqRel);
        if before & CUT != 0 {
            return false;
        }
        self.abandon_body();
        if before & BACK != 0 {
            self.say_slot_back();
        }
        before & BACK == 0
    }

    fn abandon_body(&self) {
        if let Body::Streamed(upload) = &self.body {
            upload.abandon(&self.shared.outbox, self.head.headers.contains_key(header::EXPECT));
        }
    }

    /// Its connection has ended: it is cut, and the watchdog has it from then on.
    pub(crate) fn client_gone(self: &Arc<Self>) {
        if self.cut() {
            self.shared.watchdog.client_gone(self.shared, self);
        }
    }

    /// The thread is back, or the request was never given to one. Called once.
    pub(crate) fn back(&self) {
        *self.seat.lock() = None;
        let before = self.state.fetch_or(BACK, Ordering::AcqRel);
        self.abandon_body();
        if before & CUT != 0 {
            self.say_slot_back();
        }
        if before & INTERRUPTED != 0 {
            self.condemn(true);
        }
    }

    /// Tells the supervisor to replace this process, once per request.
    pub(crate) fn condemn(&self, returned: bool) {
        if self.state.fetch_or(CONDEMNED, Ordering::AcqRel) & CONDEMNED == 0 {
            let gone = self.state.load(Ordering::Acquire) & GONE != 0;
            let because = if gone { Interruption::ClientGone } else { Interruption::Timeout };
            self.shared.supervisor.say(FromWorker::Condemned { returned, because });
        }
    }

    /// Whether nobody waits for the response any more.
    pub(crate) fn is_cut(&self) -> bool {
        self.state.load(Ordering::Acquire) & CUT != 0
    }

    /// Whether its thread is back.
    pub(crate) fn is_back(&self) -> bool {
        self.state.load(Ordering::Acquire) & BACK != 0
    }

    /// Whether an exception was thrown into its thread.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.state.load(Ordering::Acquire) & INTERRUPTED != 0
    }

    /// Notes that an exception is being thrown into its thread.
    pub(crate) fn mark_interrupted(&self) {
        self.state.fetch_or(INTERRUPTED, Ordering::AcqRel);
    }

    /// Notes that it is interrupted, if it can be, because its client has gone.
    pub(crate) fn mark_gone(&self) {
        self.state.fetch_or(GONE, Ordering::AcqRel);
    }

    /// The right to report that it is slow, given once, and not for one that has timed out.
    pub(crate) fn claim_slow(&self) -> bool {
        self.state.fetch_or(SLOW, Ordering::AcqRel) & (SLOW | REPORTED) == 0
    }

    /// The right to report the timeout, given once.
    pub(crate) fn claim_report(&self) -> bool {
        self.state.fetch_or(REPORTED, Ordering::AcqRel) & REPORTED == 0
    }

    /// The thread that runs it, if one does.
    pub(crate) fn seat(&self) -> Option<Arc<Seat>> {
        self.seat.lock().clone()
    }

    /// Notes the thread that runs it.
    pub(crate) fn take_seat(&self, seat: &Arc<Seat>) {
        *self.seat.lock() = Some(Arc::clone(seat));
    }

    /// `request a-1 (GET /path)`, for log lines.
    pub(crate) fn describe(&self) -> String {
        let (id, method, path) = (&self.dispatch.request_id, &self.head.method, self.head.uri.path());
        if id.is_empty() { format!("{method} {path}") } else { format!("request {id} ({method} {path})") }
    }

    fn say_slot_back(&self) {
        if !self.direct {
            self.shared.supervisor.say(FromWorker::SlotBack { dispatch: self.dispatch.number });
        }
    }
}
