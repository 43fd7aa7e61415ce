//! Checked: hosts that are closed for maintenance.

use std::time::Duration;

use ipnet::IpNet;

/// Whether a host is closed, and for whom not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maintenance {
    /// Whether the site file closes it. At run time `tidegate maintenance` does.
    pub on: bool,
    /// Who gets the site all the same.
    pub allow: Vec<IpNet>,
    /// What others are told to wait, if the site file closes it.
    pub retry_after: Duration,
}
