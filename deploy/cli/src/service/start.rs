//! Starting services, and waiting until their sites serve.

use std::path::Path;
use std::time::Duration;

use tidegate_host::{ServiceState, StartType};
use tidegate_site::Site;
use time::OffsetDateTime;
use tokio::time::{Instant, sleep};

use super::pair::Pair;
use super::{LOOK, MARGIN, failed, missing, remembered, state, stop};
use crate::args;
use crate::failure::Failure;
use crate::style::Style;
use crate::up;

/// Exit code of a program whose site file is wrong.
const BAD_CONFIGURATION: u32 = crate::failure::BAD_CONFIGURATION as u32;
/// By then a service that was asked to start does so, or has ended.
const UNDER_WAY: Duration = Duration::from_secs(5);
const LOOK_AT_LOGS: &str = "its log says why; `tidegate check` looks for the usual reasons";

/// Runs `service start`.
pub(super) async fn run(config: &Path, arguments: &args::ServiceStart, style: Style) -> Result<(), Failure> {
    if arguments.remembered {
        return start_remembered(config, arguments.no_wait, style).await;
    }
    let pairs = Pair::chosen(&arguments.chosen)?;
    remembered::forget(&pairs);
    let mut failures = Vec::new();
    let mut started = Vec::new();
    for pair in &pairs {
        if arguments.chosen.all && is_disabled(pair)? {
            println!("services {} are disabled: left as they are", pair.names().join(" and "));
            continue;
        }
        match start_both(pair) {
            Ok(()) => started.push(pair),
            Err(failure) => failures.push(failure),
        }
    }
    if !arguments.no_wait {
        for pair in started {
            failures.extend(wait(config, pair, style).await.err());
        }
    }
    Failure::all(failures)
}

/// Starts those that `stop --remember` has stopped, also one without the other.
async fn start_remembered(config: &Path, no_wait: bool, style: Style) -> Result<(), Failure> {
    let pairs = Pair::all()?;
    let names = remembered::take(&pairs)?;
    let mut failures = Vec::new();
    for pair in &pairs {
        let [server, proxy] = pair.names().map(|name| names.contains(&name).then_some(name));
        let is_whole = server.is_some() && proxy.is_some();
        let outcome: Result<(), Failure> = server.iter().chain(&proxy).try_for_each(|name| start_one(name));
        match outcome {
            Ok(()) if is_whole && !no_wait => failures.extend(wait(config, pair, style).await.err()),
            Ok(()) => {}
            Err(failure) => failures.push(failure),
        }
    }
    Failure::all(failures)
}

/// Runs `service restart`. Of all sets, those that run.
pub(super) async fn restart(config: &Path, chosen: &args::ServiceChoice, style: Style) -> Result<(), Failure> {
    let mut pairs = Pair::chosen(chosen)?;
    if chosen.all {
        let mut running = Vec::new();
        for pair in pairs {
            if pair.runs()? {
                running.push(pair);
            }
        }
        pairs = running;
    }
    remembered::forget(&pairs);
    let mut failures = Vec::new();
    let mut left = Vec::new();
    for pair in pairs {
        match tidegate_host::restart_services(&pair.set) {
            Ok(true) => failures.extend(wait(config, &pair, style).await.err()),
            Ok(false) => left.push(pair),
            Err(error) => failures.push(failed(error)),
        }
    }
    failures.extend(stop::stop(&left).await.err());
    for pair in &left {
        match start_both(pair) {
            Ok(()) => failures.extend(wait(config, pair, style).await.err()),
            Err(failure) => failures.push(failure),
        }
    }
    Failure::all(failures)
}

/// Starts what does not run.
fn start_both(pair: &Pair) -> Result<(), Failure> {
    pair.names().iter().try_for_each(|name| start_one(name))
}

fn start_one(name: &str) -> Result<(), Failure> {
    match state(name)? {
        ServiceState::Missing => return Err(missing(name)),
        ServiceState::Running { .. } | ServiceState::Starting => println!("service {name} runs already"),
        _ => {
            tidegate_host::start_service(name).map_err(failed)?;
            println!("service {name} starts");
        }
    }
    Ok(())
}

fn is_disabled(pair: &Pair) -> Result<bool, Failure> {
    for name in pair.names() {
        let settings = tidegate_host::service_settings(&name).map_err(failed)?;
        if settings.is_some_and(|settings| settings.start == StartType::Disabled) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Starts both services of a site and waits until it serves, as `tidegate up` does.
pub(super) async fn start(site: &Site, pair: &Pair, style: Style) -> Result<(), Failure> {
    start_both(pair)?;
    serving(site, pair, style).await
}

async fn wait(config: &Path, pair: &Pair, style: Style) -> Result<(), Failure> {
    serving(&pair.site(config)?, pair, style).await
}

/// Waits until the site serves, and shows it.
async fn serving(site: &Site, pair: &Pair, style: Style) -> Result<(), Failure> {
    let patience = site.apps.iter().map(|app| app.start_timeout).max().unwrap_or_default() + MARGIN;
    let begin = Instant::now();
    let deadline = begin + patience;
    loop {
        if let Ok(report) = up::look(site).await
            && up::is_settled(&report)
        {
            print!("{}", up::report::show(&report, OffsetDateTime::now_utc(), style));
            return Ok(());
        }
        for name in pair.names() {
            match state(&name)? {
                ServiceState::Failed { code: BAD_CONFIGURATION } => {
                    return Err(Failure::new(format!("service {name} ended: the site file is wrong (code 78)"))
                        .next("`tidegate check` says what is wrong with it, then `tidegate service start`"));
                }
                ServiceState::Failed { code } => {
                    return Err(Failure::new(format!("service {name} ended with code {code}")).next(LOOK_AT_LOGS));
                }
                ServiceState::Stopped if begin.elapsed() > UNDER_WAY => {
                    return Err(Failure::new(format!("service {name} has stopped again")).next(LOOK_AT_LOGS));
                }
                _ => {}
            }
        }
        if Instant::now() > deadline {
            return Err(
                Failure::new(format!("the site does not serve after {} s", patience.as_secs())).next(LOOK_AT_LOGS)
            );
        }
        sleep(LOOK).await;
    }
}
