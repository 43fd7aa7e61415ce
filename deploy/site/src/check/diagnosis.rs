//! What an app says of how its requests are watched: which are logged for being slow, whether its own breaches of
//! WSGI are, and whether it is told that a client has gone.

use std::time::Duration;

use crate::check::LONGEST;
use crate::defaults;
use crate::raw::Table;

/// Shorter ones would be a record of nearly every request.
const SHORTEST_SLOW: Duration = Duration::from_millis(10);

/// The part of an app's settings that is read here.
pub(crate) struct Diagnosis {
    pub(crate) slow_request: Option<Duration>,
    pub(crate) validate: bool,
    pub(crate) cancel_when_client_gone: bool,
}

impl Diagnosis {
    /// What holds where nothing is said.
    pub(crate) fn default() -> Self {
        Self {
            slow_request: defaults::SLOW_REQUEST,
            validate: defaults::VALIDATE,
            cancel_when_client_gone: defaults::CANCEL_WHEN_CLIENT_GONE,
        }
    }
}

/// Reads these keys of an app.
pub(crate) fn read(app: &Table<'_>) -> Option<Diagnosis> {
    let default = Diagnosis::default();
    let slow_request = app.read("slow_request", default.slow_request, |node| {
        if node.is_off() { Some(None) } else { node.duration(SHORTEST_SLOW..=LONGEST).map(Some) }
    });
    let validate = app.read("validate", default.validate, |node| node.switch());
    let cancel = app.read("cancel_when_client_gone", default.cancel_when_client_gone, |node| node.switch());
    Some(Diagnosis { slow_request: slow_request?, validate: validate?, cancel_when_client_gone: cancel? })
}
