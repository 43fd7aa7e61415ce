//! What every part of the worker shares. There is one for the life of the process.

use tidegate_contract::Launch;

use crate::channel::Supervisor;
use crate::deadline::Watchdog;
use crate::inspect::Inspector;
use crate::outbox::Outbox;
use crate::threads::Pool;
use crate::wsgi::Violations;

/// The worker's parts that more than one thread uses.
pub(crate) struct Shared {
    pub(crate) launch: Launch,
    pub(crate) outbox: Outbox,
    pub(crate) pool: Pool,
    pub(crate) supervisor: Supervisor,
    pub(crate) watchdog: Watchdog,
    pub(crate) inspector: Inspector,
    pub(crate) violations: Violations,
}
