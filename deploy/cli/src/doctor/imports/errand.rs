//! The app server's service, which does not run, is started for one thing: to import the apps under its account and say how
//! that went (`tidegate_contract::Errand`). It stops by itself, and is stopped here if it does not. Nothing is asked of
//! services that run, start, or are to be started again.

use std::io;
use std::time::Duration;

use tidegate_contract::Errand;
use tidegate_host::{Endpoint, Obstacle, ServiceSettings, ServiceState, StartType, machine};
use tidegate_site::Site;
use tokio::time::{Instant, sleep};

use super::Outcome;
use crate::control::{Control, ControlError};
use crate::service::{Pair, failed};
use crate::up::program;

/// The service manager gives a process thirty seconds to begin; an antivirus may need some of them.
const BEGIN: Duration = Duration::from_secs(45);
/// To connect to what listens.
const CONNECT: Duration = Duration::from_secs(5);
/// For the service to stop when it has answered.
const END: Duration = Duration::from_secs(15);
const LOOK: Duration = Duration::from_millis(100);

/// Why there is no outcome, and what to do.
pub(super) enum Untried {
    /// It is not to be done now.
    Left { text: String, next: String },
    /// It could not be done, and a start of the service could not either.
    Failed { text: String, next: String },
}

/// Has the service do it.
pub(super) async fn import(
    site: &Site,
    pair: &Pair,
    server: &ServiceSettings,
    patience: Duration,
) -> Result<Outcome, Untried> {
    let [name, proxy] = pair.names();
    if let Some((text, next)) = refused(&name, &proxy, server) {
        return Err(Untried::Left { text, next: next.to_owned() });
    }
    let number = getrandom::u64().map_err(|error| Untried::Failed {
        text: format!("no random numbers: {error}"),
        next: "look into the system's log".to_owned(),
    })?;
    let errand = Errand::new(number);
    tidegate_host::start_service_with(&name, &[errand.to_string()]).map_err(|error| not_started(server, error))?;
    let asked = ask(site, &name, errand, patience).await;
    let stopped = stopped(&name).await;
    let outcome = asked?;
    if stopped {
        return Ok(outcome);
    }
    Err(Untried::Failed {
        text: format!("service {name} was started to import the apps, and has not stopped after {} s", END.as_secs()),
        next: "`tidegate service stop`".to_owned(),
    })
}

/// Why it is left alone.
fn refused(name: &str, proxy: &str, server: &ServiceSettings) -> Option<(String, &'static str)> {
    let is_ours = program("tidegate-appserver").is_ok_and(|own| tidegate_host::is_same_path(&own, &server.program));
    if !is_ours {
        let text = format!("service {name} runs {}, another installation's", server.program.display());
        return Some((
            text,
            "use the `tidegate` command beside that program, or `tidegate service install` of this one",
        ));
    }
    if server.start == StartType::Disabled {
        return Some((format!("service {name} is disabled"), "`tidegate service install --automatic`"));
    }
    for name in [name, proxy] {
        match tidegate_host::service_state(name) {
            Ok(ServiceState::Missing | ServiceState::Stopped | ServiceState::Failed { .. }) => {}
            Ok(_) => {
                return Some((
                    format!("service {name} runs, starts or stops, and no app server answers"),
                    "wait until both services run or are stopped (`tidegate service status`), then run this again",
                ));
            }
            Err(error) => return Some((error.to_string(), "`tidegate service status`")),
        }
    }
    // It would find the service running, and not start it when this is over.
    if tidegate_host::restart_delay(name).is_ok_and(|delay| delay.is_some()) {
        return Some((
            format!("service {name} has failed and is about to be started again"),
            "run this again when it runs, or after `tidegate service stop`",
        ));
    }
    None
}

/// What a start that the service manager refuses says of the account.
fn not_started(server: &ServiceSettings, error: io::Error) -> Untried {
    match tidegate_host::obstacle(&error) {
        // The manager says the same of the account and of whoever asks.
        Some(Obstacle::Rights) if machine::is_administrator() => {
            let directory = server.program.parent().unwrap_or(&server.program);
            Untried::Failed {
                text: format!("{error}: it may not run {}", server.program.display()),
                next: machine::grant_command(directory, &server.account, false),
            }
        }
        Some(Obstacle::Rights | Obstacle::NoManager) => Untried::Left {
            text: "its app server does not run".to_owned(),
            next: "run this as administrator (root), or `tidegate service start` first".to_owned(),
        },
        _ => {
            let failure = failed(error);
            Untried::Failed { text: failure.message().to_owned(), next: failure.next_step().to_owned() }
        }
    }
}

/// The answer, as soon as there is somebody to ask.
async fn ask(site: &Site, name: &str, errand: Errand, patience: Duration) -> Result<Outcome, Untried> {
    let endpoint = Endpoint::local(&site.runtime_dir, &errand.endpoint_name());
    let begin = Instant::now();
    let mut control = loop {
        match Control::connect(&endpoint, CONNECT).await {
            Ok(control) => break control,
            Err(ControlError::NotRunning) if begin.elapsed() < BEGIN => {}
            Err(error) => return Err(said_nothing(name, &error.to_string())),
        }
        let state = tidegate_host::service_state(name);
        if !matches!(state, Ok(ServiceState::Starting | ServiceState::Running { .. })) {
            return Err(said_nothing(name, "it ended before it could be asked"));
        }
        sleep(LOOK).await;
    };
    let (reports, account, good) =
        control.check_imports(patience).await.map_err(|error| said_nothing(name, &error.to_string()))?;
    Ok(Outcome { account, text: reports.join("\n"), good })
}

fn said_nothing(name: &str, why: &str) -> Untried {
    Untried::Failed {
        text: format!("service {name} was started to import the apps, and did not tell how that went: {why}"),
        next: "the event log (Application) may say why; `tidegate service start` runs into the same".to_owned(),
    }
}

/// Waits for its end. One that does not come is asked for.
async fn stopped(name: &str) -> bool {
    let begin = Instant::now();
    let mut asked = false;
    while begin.elapsed() < END {
        match tidegate_host::service_state(name) {
            Ok(ServiceState::Starting | ServiceState::Running { .. } | ServiceState::Stopping) => {}
            Ok(_) => return true,
            Err(_) => return false,
        }
        if !asked && begin.elapsed() > END / 3 {
            asked = tidegate_host::stop_service(name).is_ok();
        }
        sleep(LOOK).await;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_that_is_refused_tells_of_the_account_or_of_whoever_asked() {
        let server = ServiceSettings {
            account: "shop".to_owned(),
            start: StartType::Automatic,
            command: String::new(),
            program: std::env::temp_dir().join("tidegate-appserver"),
            arguments: Vec::new(),
        };
        let of = |kind: io::ErrorKind| match not_started(&server, io::Error::new(kind, "refused")) {
            Untried::Left { text, next } => (false, text, next),
            Untried::Failed { text, next } => (true, text, next),
        };
        let (is_problem, text, _) = of(io::ErrorKind::PermissionDenied);
        assert_eq!(is_problem, machine::is_administrator(), "{text}");
        assert_eq!(is_problem, text.contains("may not run"), "{text}");
        let (is_problem, text, _) = of(io::ErrorKind::Unsupported);
        assert!(!is_problem && text.contains("does not run"), "{text}");
        let (is_problem, text, next) = of(io::ErrorKind::Other);
        assert!(is_problem && text == "refused" && next.contains("service status"), "{text} {next}");
    }
}
