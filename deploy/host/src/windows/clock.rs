//! What keeps the clock: the time service of Windows, as it is configured.

use std::io;

use super::registry::text;
use super::service;
use crate::machine::{Clock, TimeService};

/// Settings of group policies go before the service's own.
const KEYS: [&str; 2] =
    [r"SOFTWARE\Policies\Microsoft\W32Time\Parameters", r"SYSTEM\CurrentControlSet\Services\W32Time\Parameters"];

pub(crate) fn clock() -> io::Result<Clock> {
    let setting = |name: &str| KEYS.iter().find_map(|key| text(key, name).ok());
    let start = service::settings("W32Time").ok().flatten().map(|settings| settings.start);
    Ok(Clock::Service(TimeService {
        state: service::state("W32Time")?,
        start,
        source: setting("Type"),
        servers: setting("NtpServer"),
    }))
}
