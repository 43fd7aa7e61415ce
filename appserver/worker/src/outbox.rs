//! What Python threads hand to the I/O thread.
//!
//! Waking a tokio runtime from another thread costs a system call each time. So everything a
//! Python thread has for the I/O thread goes through this one box, and only the first entry
//! since the box was last emptied wakes the runtime: under load one wake-up carries many
//! responses. Never blocks, never runs Python.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use hyper::body::Incoming;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use crate::io::Reply;
use crate::upload::{Upload, discard};

/// One thing to do on the I/O thread.
pub(crate) enum Event {
    /// Deliver a response head (with its body, or the pipe that the body will come through).
    Reply(oneshot::Sender<Reply>, Reply),
    /// Drop a response that nobody waits for.
    Unwanted(Reply),
    /// Look at a response's pipe, or at its connection, again.
    Wake(Waker),
    /// Start to read a request body: the app asked for it.
    Read(Arc<Upload>, Incoming),
    /// Read a request body that the app left unread to its end.
    Discard(Incoming),
}

/// The box. Its bound is the number of Python threads times the few events each can have
/// outstanding, since a thread waits for room in its own pipe.
#[derive(Default)]
pub(crate) struct Outbox {
    events: Mutex<Vec<Event>>,
    announced: AtomicBool,
    ready: Notify,
}

impl Outbox {
    /// Leaves an event; called by Python threads.
    pub(crate) fn push(&self, event: Event) {
        self.events.lock().push(event);
        if !self.announced.swap(true, Ordering::AcqRel) {
            self.ready.notify_one();
        }
    }

    /// Handles events for ever; a task of the I/O thread.
    pub(crate) async fn run(&self) {
        let mut batch = Vec::new();
        loop {
            self.ready.notified().await;
            // Cleared before the box is emptied: an entry that comes later announces itself anew.
            self.announced.store(false, Ordering::Release);
            mem::swap(&mut batch, &mut *self.events.lock());
            for event in batch.drain(..) {
                match event {
                    // A receiver that is gone drops the reply, and with it hangs up its pipe.
                    Event::Reply(to, reply) => drop(to.send(reply)),
                    Event::Unwanted(reply) => drop(reply),
                    Event::Wake(waker) => waker.wake(),
                    Event::Read(upload, incoming) => drop(tokio::spawn(upload.fill(incoming))),
                    Event::Discard(incoming) => drop(tokio::spawn(discard(incoming))),
                }
            }
        }
    }
}
