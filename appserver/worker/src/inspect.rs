//! Says what the requests in this process are doing: when the supervisor asks, and when one of them has become slow.
//!
//! The I/O thread picks the requests and never waits for Python; their lines and stacks are read by a native thread of
//! its own. When that does not get the GIL in time the I/O thread says what it knows without it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pyo3::prelude::*;
use tidegate_contract::{Frame, FromWorker, InFlight, Inspection};
use tokio::time::{sleep, sleep_until};

use crate::deadline::{GIL_HELD, NOT_STARTED, PATIENCE};
use crate::log;
use crate::request::Request;
use crate::shared::Shared;
use crate::stack::{self, Frames};

/// A message's limit is 4 MiB, and JSON may need several bytes for one.
const MOST_TEXT: usize = 2 << 20;
/// Stacks are left out beyond it, so that there is room for the other requests.
const MOST_STACKS: usize = 1 << 20;
/// Of a path; the log and the app have the whole.
const MOST_PATH: usize = 512;
/// The names of a request's fields, and numbers.
const OVERHEAD: usize = 256;
const FINISHED: &str = "the request was finished before its stack was read";

/// Takes requests to look at; the thread behind it starts with the first.
#[derive(Default)]
pub(crate) struct Inspector {
    queue: Mutex<Option<Sender<Arc<Look>>>>,
}

/// One look at some requests.
struct Look {
    purpose: Purpose,
    requests: Vec<Arc<Request>>,
    since: Instant,
    said: AtomicBool,
}

#[derive(Clone, Copy)]
enum Purpose {
    /// The supervisor has asked.
    Asked { ask: u64, stacks: bool },
    /// They have become slow.
    Slow,
}

/// What Python says of a request's thread.
#[derive(Default)]
struct Found {
    at: Option<Frame>,
    app_at: Option<Frame>,
    stack: Option<String>,
    no_stack: Option<String>,
}

impl Inspector {
    /// Answers the supervisor. Called by the I/O thread.
    pub(crate) fn asked(&self, shared: &'static Shared, ask: u64, stacks: bool) {
        self.look(shared, Purpose::Asked { ask, stacks }, shared.pool.requests());
    }

    fn look(&self, shared: &'static Shared, purpose: Purpose, mut requests: Vec<Arc<Request>>) {
        requests.sort_by_key(|request| request.arrived);
        let look = Arc::new(Look { purpose, requests, since: Instant::now(), said: AtomicBool::new(false) });
        self.hand_over(shared, Arc::clone(&look));
        tokio::spawn(async move {
            sleep(PATIENCE).await;
            if look.claim() {
                look.say(shared, None, &[]);
            }
        });
    }

    fn hand_over(&self, shared: &'static Shared, look: Arc<Look>) {
        let mut queue = self.queue.lock();
        let sender = queue.get_or_insert_with(|| {
            let (sender, receiver) = channel();
            let started = thread::Builder::new().name("tidegate-inspector".to_owned());
            if let Err(error) = started.spawn(move || inspect(shared, &receiver)) {
                log::line(&format!("failed to start the inspector thread: {error}"));
            }
            sender
        });
        // Without the thread the answer says that Python did not.
        let _ = sender.send(look);
    }
}

/// Reports each request that reaches the age which the launch names, once. A task of the I/O thread that looks at the
/// pool, so that a request costs nothing more for being watched.
pub(crate) async fn watch_slow(shared: &'static Shared) {
    let Some(limit) = shared.launch.slow_request_ms.map(Duration::from_millis) else { return };
    loop {
        let now = Instant::now();
        // A request that is not here yet is not slow before that.
        let mut next = now + limit;
        let mut slow = Vec::new();
        for request in shared.pool.requests() {
            let at = request.arrived + limit;
            if at > now {
                next = next.min(at);
            } else if request.claim_slow() {
                slow.push(request);
            }
        }
        if !slow.is_empty() {
            shared.inspector.look(shared, Purpose::Slow, slow);
        }
        sleep_until(next.into()).await;
    }
}

fn inspect(shared: &'static Shared, queue: &Receiver<Arc<Look>>) {
    while let Ok(look) = queue.recv() {
        // Those that waited behind one look at a held GIL have been answered.
        if look.said.load(Ordering::Acquire) {
            continue;
        }
        Python::attach(|py| {
            let waited = look.since.elapsed();
            let found = look.read(py, shared);
            if look.claim() {
                py.detach(|| look.say(shared, Some(waited), &found));
            }
        });
    }
}

impl Look {
    /// The right to say what was found, given once.
    fn claim(&self) -> bool {
        !self.said.swap(true, Ordering::AcqRel)
    }

    /// What Python says of each request; nothing of one whose thread is back.
    fn read(&self, py: Python<'_>, shared: &Shared) -> Vec<Option<Found>> {
        let frames = match Frames::now(py) {
            Ok(frames) => frames,
            Err(error) => {
                log::line(&format!("failed to read the threads' frames: {error}"));
                return Vec::new();
            }
        };
        let with_stacks = matches!(self.purpose, Purpose::Slow | Purpose::Asked { stacks: true, .. });
        let read = |request: &Arc<Request>| {
            // A request has one thread, until its end. If it has it still, it had it when the frames were read.
            let Some(seat) = request.seat() else {
                return (!request.is_back()).then(|| Found::without(NOT_STARTED));
            };
            let found = || -> PyResult<Found> {
                let Some(frame) = frames.of(&seat)? else {
                    return Ok(Found::without("the thread runs no Python code"));
                };
                let (at, app_at) = stack::lines(&frame, &shared.launch.directory)?;
                let stack = if with_stacks { Some(stack::text(&frame)?) } else { None };
                Ok(Found { at: Some(at), app_at, stack, no_stack: None })
            };
            Some(found().unwrap_or_else(|error| Found::without(&format!("failed to read the stack: {error}"))))
        };
        self.requests.iter().map(read).collect()
    }

    /// Tells the supervisor. `found` is empty if Python did not answer.
    fn say(&self, shared: &Shared, waited: Option<Duration>, found: &[Option<Found>]) {
        match self.purpose {
            Purpose::Slow => {
                for (place, request) in self.requests.iter().enumerate() {
                    let found = match found.get(place) {
                        Some(found) => found.as_ref(),
                        None => Some(&Found::without(GIL_HELD)),
                    };
                    shared.supervisor.say(slow(request, found));
                }
            }
            Purpose::Asked { ask, .. } => {
                let inspection = self.inspection(waited, found);
                shared.supervisor.say(FromWorker::Inspected { ask, inspection });
            }
        }
    }

    fn inspection(&self, waited: Option<Duration>, found: &[Option<Found>]) -> Inspection {
        let mut inspection = Inspection { gil_wait_ms: waited.map(milliseconds), ..Inspection::default() };
        let (mut text, mut stacks) = (0, 0);
        for (place, request) in self.requests.iter().enumerate().filter(|(_, request)| !request.is_back()) {
            let found = found.get(place).and_then(Option::as_ref);
            let mut in_flight = in_flight(request, found);
            let stack = in_flight.stack.as_ref().map_or(0, String::len);
            if stacks + stack > MOST_STACKS {
                in_flight.stack = None;
            } else {
                stacks += stack;
            }
            text += size(&in_flight);
            if text > MOST_TEXT {
                inspection.left_out += 1;
            } else {
                inspection.requests.push(in_flight);
            }
        }
        inspection
    }
}

impl Found {
    fn without(reason: &str) -> Self {
        Self { no_stack: Some(reason.to_owned()), ..Self::default() }
    }
}

fn slow(request: &Request, found: Option<&Found>) -> FromWorker {
    FromWorker::Slow {
        request_id: request.dispatch.request_id.clone(),
        method: request.head.method.to_string(),
        path: request.head.uri.path().to_owned(),
        age_ms: milliseconds(request.arrived.elapsed()),
        stack: found.and_then(|found| found.stack.clone()),
        no_stack: found.map_or_else(|| Some(FINISHED.to_owned()), |found| found.no_stack.clone()),
    }
}

fn in_flight(request: &Request, found: Option<&Found>) -> InFlight {
    let path = request.head.uri.path();
    InFlight {
        request_id: request.dispatch.request_id.clone(),
        method: request.head.method.to_string(),
        path: path.chars().take(MOST_PATH).collect(),
        age_ms: milliseconds(request.arrived.elapsed()),
        thread: request.seat().map(|seat| format!("tidegate-{}", seat.number)),
        abandoned: request.is_cut(),
        at: found.and_then(|found| found.at.clone()),
        app_at: found.and_then(|found| found.app_at.clone()),
        stack: found.and_then(|found| found.stack.clone()),
    }
}

/// About how many bytes a request takes in a message.
fn size(request: &InFlight) -> usize {
    let frame = |frame: &Option<Frame>| frame.as_ref().map_or(0, |frame| frame.file.len() + frame.function.len());
    let stack = request.stack.as_ref().map_or(0, String::len);
    let name = request.request_id.len() + request.method.len() + request.path.len();
    OVERHEAD + name + frame(&request.at) + frame(&request.app_at) + stack
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
