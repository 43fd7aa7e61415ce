//! The upstream half: an app's workers, the queue in front of them and the pooled connections to
//! them. `control` feeds it the pool's state, `request` takes leases and makes calls.
//!
//! | File | What it has |
//! |---|---|
//! | `apps` | every app; what the app server says goes to the one it concerns |
//! | `app` | one app: a request asks it for a worker, and waits |
//! | `admission` | who gets which worker: `workers` (slots) and `queue` together |
//! | `lease` | the right to one thread |
//! | `backend`, `connection` (`bare` or `full`, with `stream`) | a worker process and the connections to it |
//! | `body` | a request's body on its way to a worker |
//! | `call` | one request to a worker and its response |
//! | `pool_metrics` | the pool's state as metrics |
//!
//! It never decides on a status: a failure leaves here as a cause.

mod admission;
mod app;
mod apps;
mod backend;
mod body;
mod call;
mod connection;
#[cfg(any(fuzzing, test))]
pub(crate) mod fuzz;
mod lease;
mod pool_metrics;
mod queue;
mod stream;
mod workers;

use tidegate_contract::Generation;

pub(crate) use self::app::App;
pub(crate) use self::apps::Apps;
pub(crate) use self::body::{BodyPart, BodySender, RequestBody};
pub(crate) use self::call::{Answer, AnswerBody, CallFailure, Deadlines};
pub(crate) use self::lease::Lease;
pub(crate) use self::workers::Seat;

/// A draining worker on which nothing runs any more.
#[derive(Debug)]
pub(crate) struct Drained {
    /// The app.
    pub(crate) app: String,
    /// The worker.
    pub(crate) generation: Generation,
}

#[cfg(test)]
mod tests;
