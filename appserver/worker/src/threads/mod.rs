//! The pool of threads that run the app: who takes the next request, and when another thread
//! is worth waking or starting.
//!
//! A thread that finishes a request takes the next one without letting go of the GIL; idle
//! threads wait detached, and the one that went idle last is woken first. At most one woken
//! thread is on its way at a time. When a woken thread had to wait long for the GIL, or each
//! of the others took a request before it came, then the process is bound by the CPU and more threads would only
//! fight over the GIL: for a while nobody is woken as long as requests keep being finished, and
//! threads beyond a lowered limit go idle when they have finished theirs.
//! I/O threads only ever call [`Pool::submit`] and [`Pool::prod`], which do not block.

mod seat;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

pub(crate) use self::seat::Seat;
use crate::log;
use crate::request::{Job, Request};

/// How long a thread above the minimum stays idle before it ends.
const IDLE: Duration = Duration::from_secs(30);
/// A woken thread that takes longer than this to get the GIL found it contended: a little less
/// than the time after which Python takes the GIL from a thread that does not let go of it.
const CONTENDED: Duration = Duration::from_millis(4);
/// Bounds of the time for which nobody is woken after a useless wake-up.
const HOLD_MIN: Duration = Duration::from_millis(4);
const HOLD_MAX: Duration = Duration::from_millis(128);
/// Python code recurses on the C stack; this is what Python's own threads get on Linux.
const STACK: usize = 8 << 20;

/// The pool.
pub(crate) struct Pool {
    state: Mutex<State>,
    min: usize,
    max: usize,
    quiet: Condvar,
    /// Whether a task prods.
    prodding: AtomicBool,
    work: OnceLock<Work>,
}

/// What a thread of the pool does, from its start to its end.
pub(crate) type Work = Box<dyn Fn(&Arc<Seat>) + Send + Sync>;

struct State {
    queue: VecDeque<Job>,
    /// Threads that wait, the one that waits shortest last.
    idle: Vec<Arc<Seat>>,
    /// Those of every thread, some of which may have ended.
    seats: Vec<Weak<Seat>>,
    threads: usize,
    busy: usize,
    /// Threads woken or started that have not looked at the queue yet.
    coming: usize,
    coming_since: Instant,
    /// How many requests had been taken when the last one was woken.
    coming_at: u64,
    numbers: u32,
    /// Until when nobody is woken while the others get on.
    hold_until: Instant,
    hold: Duration,
    /// How many threads may go on while nobody is woken.
    limit: usize,
    /// Requests taken so far, and the figure at the last prod.
    taken: u64,
    prodded: u64,
}

/// What a thread comes from when it looks for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    /// It was woken or started.
    Wake,
    /// It has finished the request that it took.
    Request,
}

/// What to do about a request that was submitted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing.
    Nothing,
    /// Start a thread.
    Start,
    /// Call [`Pool::prod`] in a millisecond: the request waits for a busy thread.
    Prod,
}

impl Pool {
    pub(crate) fn new(min: u32, max: u32) -> Self {
        let now = Instant::now();
        let state = State {
            queue: VecDeque::new(),
            idle: Vec::new(),
            seats: Vec::new(),
            threads: 0,
            busy: 0,
            coming: 0,
            coming_since: now,
            coming_at: 0,
            numbers: 0,
            hold_until: now,
            hold: HOLD_MIN,
            limit: usize::MAX,
            taken: 0,
            prodded: 0,
        };
        let max = (max as usize).max(1);
        Self {
            state: Mutex::new(state),
            min: (min as usize).min(max),
            max,
            quiet: Condvar::new(),
            prodding: AtomicBool::new(false),
            work: OnceLock::new(),
        }
    }

    /// Queues a request and wakes a thread for it if that is worth it.
    pub(crate) fn submit(&self, job: Job) -> Next {
        let now = job.request.arrived;
        let mut state = self.state.lock();
        state.queue.push_back(job);
        if state.coming > 0 {
            return Next::Prod;
        }
        if state.busy > 0 && now < state.hold_until {
            return Next::Prod;
        }
        let (next, seat) = self.reinforce(&mut state, now);
        drop(state);
        wake(seat);
        next
    }

    /// The right to call [`Pool::prod`] every millisecond, held until that returns `None`.
    pub(crate) fn claim_prodding(&self) -> bool {
        !self.prodding.load(Ordering::Relaxed) && !self.prodding.swap(true, Ordering::AcqRel)
    }

    /// Looks after requests that wait. Returns `None` when none do.
    pub(crate) fn prod(&self) -> Option<Next> {
        let now = Instant::now();
        let mut state = self.state.lock();
        if state.queue.is_empty() {
            self.prodding.store(false, Ordering::Release);
            return None;
        }
        let stuck = state.taken == state.prodded;
        state.prodded = state.taken;
        if !stuck || state.coming > 0 {
            return Some(Next::Prod);
        }
        state.limit = state.limit.max(state.busy * 2);
        let (next, seat) = self.reinforce(&mut state, now);
        drop(state);
        wake(seat);
        Some(next)
    }

    /// A thread for the queue: an idle one, or a new one if there may be more.
    fn reinforce(&self, state: &mut State, now: Instant) -> (Next, Option<Arc<Seat>>) {
        if let Some(seat) = state.idle.pop() {
            state.coming += 1;
            state.coming_since = now;
            state.coming_at = state.taken;
            return (Next::Nothing, Some(seat));
        }
        if state.threads < self.max {
            state.coming += 1;
            state.coming_since = now;
            state.coming_at = state.taken;
            state.threads += 1;
            return (Next::Start, None);
        }
        // All are busy. One that goes idle because they are too many may leave the request behind.
        (Next::Prod, None)
    }

    /// Says what threads do, once, and starts the minimum of them.
    pub(crate) fn open(&'static self, work: Work) {
        // Set once, by the main thread; a second call would find the pool at work already.
        let _ = self.work.set(work);
        self.state.lock().threads = self.min;
        self.state.lock().coming = self.min;
        for _ in 0..self.min {
            self.start();
        }
    }

    /// Starts a thread that `submit`, `prod` or `take` has counted.
    pub(crate) fn start(&'static self) {
        let (number, seat) = {
            let mut state = self.state.lock();
            state.numbers += 1;
            let seat = Arc::new(Seat::new(state.numbers));
            state.seats.retain(|seat| seat.strong_count() > 0);
            state.seats.push(Arc::downgrade(&seat));
            (state.numbers, seat)
        };
        let name = format!("tidegate-{number}");
        let started = thread::Builder::new().name(name).stack_size(STACK).spawn(move || {
            seat.settle();
            if let Some(work) = self.work.get() {
                work(&seat);
            }
        });
        if let Err(error) = started {
            // The requests stay queued for the threads there are.
            log::line(&format!("failed to start thread {number}: {error}"));
            let mut state = self.state.lock();
            state.threads -= 1;
            state.coming -= 1;
        }
    }

    /// The next request for the thread that holds `seat`, which is attached to Python.
    /// Without one the thread counts as idle and must call [`Pool::wait`].
    pub(crate) fn take(&'static self, seat: &Arc<Seat>, after: After) -> Option<Job> {
        let mut state = self.state.lock();
        if after == After::Request {
            state.busy -= 1;
            if state.is_crowded(seat) {
                state.idle.push(Arc::clone(seat));
                return None;
            }
        }
        let job = state.queue.pop_front();
        let mut reinforcement = (Next::Nothing, None);
        if after == After::Wake {
            state.coming = state.coming.saturating_sub(1);
            let now = Instant::now();
            let contended = now.saturating_duration_since(state.coming_since) > CONTENDED;
            if contended {
                state.limit = state.busy.div_ceil(2).max(1);
            }
            // Each of the others has taken a request since: they would have got to this one too.
            let needless = job.is_none() || state.taken - state.coming_at >= state.busy.max(1) as u64;
            if contended || needless {
                state.hold_until = now + state.hold;
                state.hold = (state.hold * 2).min(HOLD_MAX);
            } else {
                state.hold = HOLD_MIN;
                state.hold_until = now;
                state.limit = usize::MAX;
                if !state.queue.is_empty() && state.coming == 0 {
                    reinforcement = self.reinforce(&mut state, now);
                }
            }
        }
        match &job {
            Some(_) => {
                state.busy += 1;
                state.taken += 1;
                seat.took.store(state.taken, Ordering::Relaxed);
            }
            None => {
                state.idle.push(Arc::clone(seat));
                if state.busy == 0 {
                    self.quiet.notify_all();
                }
            }
        }
        drop(state);
        wake(reinforcement.1);
        if reinforcement.0 == Next::Start {
            self.start();
        }
        job
    }

    /// The thread could not get ready; another may be tried for the next request.
    pub(crate) fn abandon(&self, seat: &Seat, error: &str) {
        log::line(&format!("failed to start thread {}: {error}", seat.number));
        let mut state = self.state.lock();
        state.threads -= 1;
        state.coming = state.coming.saturating_sub(1);
    }

    /// Waits, detached from Python, until there may be a request. False: the thread is to end.
    pub(crate) fn wait(&self, seat: &Arc<Seat>) -> bool {
        loop {
            if seat.rest(IDLE) {
                return true;
            }
            let mut state = self.state.lock();
            match state.idle.iter().position(|idle| Arc::ptr_eq(idle, seat)) {
                Some(place) if state.threads > self.min => {
                    state.idle.remove(place);
                    state.threads -= 1;
                    return false;
                }
                // Too few, or woken just now.
                _ => {}
            }
        }
    }

    /// Threads that run a request, threads there are, and requests finished so far.
    pub(crate) fn figures(&self) -> (u32, u32, u64) {
        let state = self.state.lock();
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        (count(state.busy), count(state.threads), state.taken - state.busy as u64)
    }

    /// Every request that runs or waits for a thread. One that is being taken at this moment may be missing.
    pub(crate) fn requests(&self) -> Vec<Arc<Request>> {
        let (mut requests, seats) = {
            let state = self.state.lock();
            let queued: Vec<_> = state.queue.iter().map(|job| Arc::clone(&job.request)).collect();
            (queued, state.seats.iter().filter_map(Weak::upgrade).collect::<Vec<_>>())
        };
        let queued = requests.len();
        for seat in seats {
            let Some(running) = seat.running.lock().clone() else { continue };
            // It may have been taken from the queue meanwhile.
            if !requests[..queued].iter().any(|request| Arc::ptr_eq(request, &running)) {
                requests.push(running);
            }
        }
        requests
    }

    /// Waits until no request runs or waits, or until `deadline`.
    pub(crate) fn wait_until_quiet(&self, deadline: Instant) -> bool {
        let mut state = self.state.lock();
        while state.busy > 0 || !state.queue.is_empty() {
            if self.quiet.wait_until(&mut state, deadline).timed_out() {
                return false;
            }
        }
        true
    }
}

impl State {
    /// Whether the thread that has just finished a request only takes the GIL from the others:
    /// there are enough of them, and they have been getting on beside it.
    fn is_crowded(&self, seat: &Seat) -> bool {
        !self.queue.is_empty() && self.busy >= self.limit && self.taken > seat.took.load(Ordering::Relaxed) + 1
    }
}

fn wake(seat: Option<Arc<Seat>>) {
    if let Some(seat) = seat {
        seat.wake();
    }
}
