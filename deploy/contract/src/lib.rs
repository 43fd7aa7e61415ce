//! What proxy, app server, worker and command say to each other: the internal HTTP header of a
//! dispatched request, the messages of the two control channels, and the framing of both.
//!
//! Used by every program of Tidegate; holds no behaviour beyond encoding and parsing.
//! docs/architecture.md tells in which order the messages flow.
//!
//! # Layout
//!
//! - `dispatch`, `client`, `cause`: what goes with a request and its response
//! - `message`, `lines`: the control channels, and their framing
//! - `pool`, `report`, `inspect`, `maintenance`: what their messages tell
//! - `launch`: what a worker is started with
//! - `errand`: what a start of the app server's service may be asked for instead of serving

mod cause;
mod client;
mod dispatch;
mod errand;
mod inspect;
mod launch;
mod lines;
mod maintenance;
mod message;
mod pool;
mod report;

pub use cause::Cause;
pub use client::ClientCertificate;
pub use dispatch::{Dispatch, DispatchError, INTERNAL_HEADER, Outcome, push_address};
pub use errand::{Errand, ErrandError};
pub use inspect::{Frame, InFlight, InspectReport, Inspection, WorkerReport};
pub use launch::{LAUNCH_VARIABLE, Launch, Mode};
pub use lines::{LineError, Lines, MAX_LINE};
pub use maintenance::{Closure, MaintenanceOrder, MaintenanceState};
pub use message::{FromServer, FromWorker, Interruption, Role, ToServer, ToWorker};
pub use pool::{AppPhase, AppState, Generation, PoolState, RestartReason, WorkerPhase, WorkerState};
pub use report::{CertificateReport, ListenerReport, ProxyReport, StatusReport};

/// Version of everything in this crate. Programs that differ in it refuse each other.
pub const PROTOCOL: u32 = 3;
