//! Microsoft Defender: whether it looks into files, and what it leaves out.

use std::io;

use super::registry::{Value, number, values_if_any};
use super::service;
use crate::ServiceState;
use crate::machine::Defender;

/// Where its own settings are, and those of group policies.
const KEYS: [&str; 2] = [r"SOFTWARE\Microsoft\Windows Defender", r"SOFTWARE\Policies\Microsoft\Windows Defender"];

pub(crate) fn defender() -> Option<Defender> {
    let runs = matches!(service::state("WinDefend"), Ok(ServiceState::Running { .. }));
    let is_off = KEYS.iter().any(|key| {
        number(&format!(r"{key}\Real-Time Protection"), "DisableRealtimeMonitoring").is_ok_and(|value| value != 0)
    });
    let exclusions = |of: &str| -> Result<Vec<String>, String> {
        let mut all = Vec::new();
        for key in KEYS {
            let found = values_if_any(&format!(r"{key}\Exclusions\{of}")).map_err(|error| reason(&error))?;
            // A path is the name of a value, which itself says nothing.
            all.extend(found.into_iter().map(|Value { name, .. }| name));
        }
        Ok(all)
    };
    Some(Defender { scans: runs && !is_off, paths: exclusions("Paths"), processes: exclusions("Processes") })
}

fn reason(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::PermissionDenied {
        "only administrators may see them".to_owned()
    } else {
        error.to_string()
    }
}
