//! The app server: supervises the worker processes of WSGI applications and tells the proxy
//! which of them take requests. Used by the `tidegate-appserver` program and by tests. Serves
//! no request itself and runs no Python in its own process.
//!
//! # Layout
//!
//! | Module | What it holds |
//! |---|---|
//! | `server` | start, signals, stop |
//! | `control` | the control channel: sessions of proxy and commands |
//! | `proxy` | the connected proxy, for all who have something to tell it |
//! | `reload` | the transaction of a reload |
//! | `maintenance` | which hosts are closed, over restarts |
//! | `inspect` | what every worker is doing, for `tidegate top` |
//! | `board`, `ledger` | the state of all pools, as the proxy sees it; what is counted over reloads |
//! | `pool`, `complaint` | one app's processes: does what `slots` decides, and says each failure once |
//! | `slots`, `backoff`, `recycle` | when to start, drain and stop which process |
//! | `worker` | one process's life: `launch`, `warm_up`, `watchdog`, `output`, `end` |
//! | `channel` | the worker channel's listener |
//! | `python` | finds an app's interpreter |
//! | `check` | `--check-imports` |
//! | `errand` | a start of the service that does that, reports and stops |

mod backoff;
mod board;
mod channel;
mod check;
mod complaint;
mod control;
mod end;
pub mod errand;
mod inspect;
mod launch;
mod ledger;
mod maintenance;
mod output;
mod pool;
mod proxy;
mod python;
mod recycle;
mod reload;
mod server;
mod slots;
mod warm_up;
mod watchdog;
mod worker;

pub use check::check_imports;
pub use launch::WorkerProgram;
pub use python::{PythonError, find as find_python};
pub use server::{RunError, run};

/// This program's name in the log.
pub const PROCESS: &str = "appserver";
