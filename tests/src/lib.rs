//! What the end-to-end cases in `cases/` share: a site of one's own with its programs, clients that read
//! strictly, and bounded waiting. Used by the cases only.
//!
//! | Module | What it has |
//! |---|---|
//! | [`site`] | a site's directory and its `tidegate.yaml` |
//! | [`running`] | the programs of a site that runs, and what can be asked of them |
//! | [`program`] | one program with its log; the `tidegate` command |
//! | [`process`] | processes that are not this one's children |
//! | [`authority`] | certificates of a test's own authority |
//! | [`client`] | HTTP/1.1 over bytes, HTTP/2, TLS |
//! | [`metrics`] | Prometheus' text format |
//! | [`wait`] | waiting for a condition, never for a time |
//!
//! Nothing here sleeps to let something happen: every wait ends with the event it waits for, or after a minute
//! with a panic that says what did not happen.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

pub mod authority;
pub mod client;
pub mod metrics;
pub mod process;
pub mod program;
pub mod running;
pub mod site;
pub mod wait;

pub use client::{Connection, Http2, Response};
pub use running::Running;
pub use site::Site;
