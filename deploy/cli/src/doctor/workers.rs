//! What the running site has gone through: apps that failed, workers that crashed, a proxy that is missing.

use tidegate_contract::{AppPhase, AppState, RestartReason, StatusReport, WorkerPhase};

use crate::finding::Report;

const TOPIC: &str = "workers";

/// Reasons that nobody asked for.
const FAULTS: [RestartReason; 6] = [
    RestartReason::Died,
    RestartReason::Timeout,
    RestartReason::Frozen,
    RestartReason::StartTimeout,
    RestartReason::ImportFailed,
    RestartReason::WarmUpFailed,
];

/// Looks at them.
pub(super) fn look(running: Option<&StatusReport>, report: &mut Report) {
    let Some(running) = running else {
        report.unknown(TOPIC, "the site does not run now");
        return;
    };
    if running.proxy.is_none() {
        report.problem(
            "proxy",
            "no proxy is connected to the running app server: nobody can reach the site",
            "`tidegate service start` starts it; `tidegate logs proxy` says why it ended",
        );
    }
    for app in &running.pool.apps {
        look_at(app, report);
    }
}

fn look_at(app: &AppState, report: &mut Report) {
    let name = &app.name;
    if app.phase == AppPhase::Failed {
        let detail = app.detail.as_deref().unwrap_or_default().trim_end();
        report.problem(
            TOPIC,
            format_args!("{name} has failed, and every request to it is answered 503\n{detail}"),
            "correct that, then `tidegate reload`",
        );
        return;
    }
    let unresponsive = app.workers.iter().filter(|worker| worker.phase == WorkerPhase::Unresponsive).count();
    if unresponsive > 0 {
        report.warning(
            TOPIC,
            format_args!("{name}: {unresponsive} of {} workers do not respond", app.workers.len()),
            "`tidegate top --stacks` shows the line of Python that each is in",
        );
    }
    let faults: Vec<String> = app
        .restarts
        .iter()
        .filter(|(reason, count)| *count > 0 && FAULTS.contains(reason))
        .map(|(reason, count)| format!("{} {count}", reason.label()))
        .collect();
    if faults.is_empty() {
        report.good(TOPIC, format_args!("{name}: {} run, none had to be replaced", app.workers.len()));
    } else {
        report.warning(
            TOPIC,
            format_args!("{name}: workers had to be replaced since the start ({})", faults.join(", ")),
            format_args!("`tidegate logs {name} --level warn` says why"),
        );
    }
}
