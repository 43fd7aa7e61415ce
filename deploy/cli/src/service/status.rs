//! `tidegate service status`: what the services do, under which account and for which site file.

use tidegate_host::ServiceState;

use super::pair::{Pair, site_file};
use super::{failed, state};
use crate::args;
use crate::failure::Failure;
use crate::style::Style;
use crate::table::{Cell, Tone, render};

/// Runs the command.
pub(super) fn run(chosen: &args::ServiceChoice, style: Style) -> Result<(), Failure> {
    let pairs = Pair::chosen(chosen)?;
    let mut rows = Vec::new();
    let mut idle = Vec::new();
    let mut any = false;
    for name in pairs.iter().flat_map(Pair::names) {
        let state = state(&name)?;
        let settings = tidegate_host::service_settings(&name).map_err(failed)?;
        let file =
            settings.as_ref().and_then(site_file).map_or_else(|| "-".to_owned(), |file| file.display().to_string());
        let account = settings.map_or_else(|| "-".to_owned(), |settings| settings.account);
        let (text, tone) = word(state);
        let pid = if let ServiceState::Running { pid } = state { pid.to_string() } else { "-".to_owned() };
        any |= state != ServiceState::Missing;
        if !matches!(state, ServiceState::Running { .. }) {
            idle.push(name.clone());
        }
        rows.push([Cell::new(name), Cell::toned(text, tone), Cell::new(pid), Cell::new(account), Cell::new(file)]);
    }
    if !rows.is_empty() {
        print!("{}", render(["SERVICE", "STATE", "PID", "ACCOUNT", "SITE FILE"], &rows, style));
    }
    if !any {
        return Err(Failure::new("no such service is installed")
            .next("`tidegate service install --start` installs and starts a pair; `--all` shows those of every name"));
    }
    if idle.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("not running: {}", idle.join(", ")))
        .next("`tidegate service start` starts what does not run"))
}

fn word(state: ServiceState) -> (String, Tone) {
    match state {
        ServiceState::Missing => ("not installed".to_owned(), Tone::Bad),
        ServiceState::Stopped => ("stopped".to_owned(), Tone::Warning),
        ServiceState::Starting => ("starting".to_owned(), Tone::Plain),
        ServiceState::Running { .. } => ("running".to_owned(), Tone::Good),
        ServiceState::Stopping => ("stopping".to_owned(), Tone::Plain),
        ServiceState::Failed { code } => (format!("failed, code {code}"), Tone::Bad),
    }
}
