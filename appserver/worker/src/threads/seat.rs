//! One thread's place in the pool: what it runs, and how it is woken.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::request::Request;

/// A thread's place.
pub(crate) struct Seat {
    /// Names the thread: `tidegate-1` and so on.
    pub(crate) number: u32,
    /// Python's identifier of the thread; 0 until it has attached.
    pub(crate) ident: AtomicU64,
    /// The request that it runs. Whoever throws an exception into the thread holds this lock
    /// meanwhile, so that it cannot hit a later request.
    pub(crate) running: Mutex<Option<Arc<Request>>>,
    /// How many requests the pool had given out when this thread took its own.
    pub(super) took: AtomicU64,
    woken: AtomicBool,
    thread: Mutex<Option<Thread>>,
}

impl Seat {
    pub(super) fn new(number: u32) -> Self {
        Self {
            number,
            ident: AtomicU64::new(0),
            running: Mutex::new(None),
            took: AtomicU64::new(0),
            woken: AtomicBool::new(false),
            thread: Mutex::new(None),
        }
    }

    /// Gives the seat to the calling thread.
    pub(super) fn settle(&self) {
        *self.thread.lock() = Some(thread::current());
    }

    /// Wakes its thread from [`Seat::rest`], or keeps it from falling asleep.
    pub(super) fn wake(&self) {
        self.woken.store(true, Ordering::Release);
        if let Some(thread) = &*self.thread.lock() {
            thread.unpark();
        }
    }

    /// Sleeps until woken (true), or for `time`.
    pub(super) fn rest(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        loop {
            if self.woken.swap(false, Ordering::AcqRel) {
                return true;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            thread::park_timeout(left);
        }
    }
}
