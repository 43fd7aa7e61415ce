//! What the site file says of a pool, as far as `slots` decides by it.

use std::time::Duration;

use tidegate_site::{App, Recycle, Replace};

/// What the site file says of a pool, as far as it matters here.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) processes: u32,
    pub(crate) threads_max: u32,
    pub(crate) drain_timeout: Duration,
    pub(crate) recycle: Recycle,
    pub(crate) replace: Replace,
}

impl Plan {
    pub(crate) fn of(app: &App) -> Self {
        Self {
            processes: app.processes,
            threads_max: app.threads.max,
            drain_timeout: app.drain_timeout,
            recycle: app.recycle,
            replace: app.replace,
        }
    }
}
