//! `maintenance` of a host.

use crate::check::networks;
use crate::checked::Maintenance;
use crate::defaults;
use crate::raw::Table;

/// Reads `maintenance` and `maintenance_allow`.
pub(super) fn read(host: &Table<'_>) -> Option<Maintenance> {
    let on = host.read("maintenance", defaults::MAINTENANCE, |node| node.switch());
    let allow = host.read("maintenance_allow", Vec::new(), |node| networks(&node));
    Some(Maintenance { on: on?, allow: allow?, retry_after: defaults::MAINTENANCE_RETRY_AFTER })
}

/// A host of which nothing is said.
pub(super) fn open() -> Maintenance {
    Maintenance { on: defaults::MAINTENANCE, allow: Vec::new(), retry_after: defaults::MAINTENANCE_RETRY_AFTER }
}
