//! The app server against a fake worker: Python that speaks the worker channel and does what the
//! test says, without the worker library. Unix only, because the fake uses plain sockets and
//! signals; the end-to-end suite runs the real worker on Windows as well.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod control;
mod errand;
mod harness;
mod recycle;
mod reload;
mod workers;
