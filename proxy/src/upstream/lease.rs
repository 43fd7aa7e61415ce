//! The right to one thread of a worker, from dispatch until the thread is back.

use std::sync::Arc;

use super::app::App;
use super::backend::Backend;
use crate::metrics::Held;

/// The right to one thread of a worker.
///
/// Dropped before anything was sent it frees the slot; dropped after, it leaves the slot to the
/// worker's word. [`Lease::finish`] frees it.
#[derive(Debug)]
pub(crate) struct Lease {
    app: Arc<App>,
    backend: Arc<Backend>,
    dispatch: u64,
    hold: Hold,
    _in_flight: Held,
}

#[derive(Debug, PartialEq, Eq)]
enum Hold {
    Unused,
    Sent,
    Done,
}

impl Lease {
    /// A lease of which nothing was sent yet.
    pub(super) fn new(app: Arc<App>, backend: Arc<Backend>, dispatch: u64, in_flight: Held) -> Self {
        Self { app, backend, dispatch, hold: Hold::Unused, _in_flight: in_flight }
    }

    /// The dispatch's number.
    pub(crate) fn dispatch(&self) -> u64 {
        self.dispatch
    }

    /// The worker.
    pub(crate) fn backend(&self) -> &Arc<Backend> {
        &self.backend
    }

    /// From here on the worker may have the request.
    pub(super) fn sent(&mut self) {
        self.hold = Hold::Sent;
    }

    /// No byte went out after all.
    pub(super) fn not_sent(&mut self) {
        self.hold = Hold::Unused;
    }

    /// The worker is done with it: its thread is back.
    pub(super) fn finish(mut self) {
        self.give_back();
    }

    fn give_back(&mut self) {
        self.hold = Hold::Done;
        let awaited = {
            let mut inner = self.app.inner.lock();
            inner.slots.workers.free(self.backend.seat);
            inner.slots.is_awaited()
        };
        if awaited {
            self.app.serve_queue();
        }
    }

    /// The worker cannot be connected to, or has closed without an answer; nobody should try for a while. One that dies
    /// closes its connections before its endpoint: what connects to it meanwhile is lost.
    pub(super) fn unreachable(self) {
        self.app.inner.lock().slots.workers.set_unreachable(self.backend.seat, true);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        match self.hold {
            Hold::Done => {}
            Hold::Unused => self.give_back(),
            Hold::Sent => {
                let awaited = {
                    let mut inner = self.app.inner.lock();
                    inner.slots.workers.hold(self.dispatch, self.backend.seat);
                    inner.slots.is_awaited()
                };
                // The worker's word may have come already.
                if awaited {
                    self.app.serve_queue();
                }
            }
        }
    }
}
