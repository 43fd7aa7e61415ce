//! The app server against a fake worker: Python that speaks the worker channel and does what the
//! test says, without the worker library. Unix only, because the fake uses plain sockets and
//! signals; the end-to-end suite runs the real worker on Windows as well.
#![cfg(unix)]

mod control;
mod harness;
mod reload;
mod workers;
