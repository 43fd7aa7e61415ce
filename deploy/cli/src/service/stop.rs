//! Stopping services, and removing them: first every proxy, which finishes what clients have asked for, then the app servers.

use std::time::Duration;

use tidegate_host::ServiceState;
use tokio::time::{Instant, sleep};

use super::pair::{PARTS, Pair};
use super::{LOOK, MARGIN, data, failed, remembered, state};
use crate::args;
use crate::failure::Failure;

/// For a service whose site file cannot be read.
const USUAL: Duration = Duration::from_secs(60);
/// One that still runs, although it was asked to stop, is asked again after this long.
const AGAIN: Duration = Duration::from_secs(1);

/// Runs `service stop`.
pub(super) async fn run(arguments: &args::ServiceStop) -> Result<(), Failure> {
    let pairs = Pair::chosen(&arguments.chosen)?;
    if pairs.is_empty() {
        println!("{NONE}");
    }
    if arguments.remember {
        remembered::add(&pairs)?;
    } else {
        remembered::forget(&pairs);
    }
    let failed = stop(&pairs).await.err();
    Failure::all(failed.into_iter().chain(keep_stopped(&pairs).await.err()).collect())
}

/// The system starts a service again that has failed, and a stop does not cancel that: it is stopped when it comes.
async fn keep_stopped(pairs: &[Pair]) -> Result<(), Failure> {
    let mut coming = Vec::new();
    let mut longest = Duration::ZERO;
    for pair in pairs {
        for name in pair.names() {
            if state(&name)? == ServiceState::Missing {
                continue;
            }
            if let Some(delay) = tidegate_host::restart_delay(&name).map_err(failed)? {
                println!(
                    "service {name} has failed, and the system is to start it again: waits up to {} s to stop it then",
                    delay.as_secs()
                );
                longest = longest.max(delay);
                coming.push((name, patience(pair)));
            }
        }
    }
    let deadline = Instant::now() + longest + AGAIN;
    while !coming.is_empty() && Instant::now() < deadline {
        let mut left = Vec::new();
        for (name, patience) in coming {
            if is_at_rest(state(&name)?) {
                left.push((name, patience));
            } else {
                ask(&name)?;
                stopped(&name, Instant::now(), patience).await?;
            }
        }
        coming = left;
        sleep(LOOK).await;
    }
    Ok(())
}

/// Runs `service uninstall`. What does not stop is removed nevertheless, or a service without a program would be left.
pub(super) async fn uninstall(arguments: &args::ServiceUninstall) -> Result<(), Failure> {
    let pairs = Pair::chosen(&arguments.chosen)?;
    if pairs.is_empty() {
        println!("{NONE}");
    }
    remembered::forget(&pairs);
    // Only the services know their site files, so before they are gone.
    let data: Vec<_> = if arguments.remove_data { pairs.iter().map(data::of).collect() } else { Vec::new() };
    let mut failures: Vec<_> = stop(&pairs).await.err().into_iter().collect();
    for pair in &pairs {
        let mut found = false;
        for part in PARTS.iter().rev() {
            let name = pair.name(part);
            match remove(&name) {
                Ok(removed) => found |= removed,
                Err(failure) => failures.push(failure),
            }
        }
        if !found && failures.is_empty() {
            let [server, proxy] = pair.names();
            println!("there are no services {server} and {proxy}");
        }
    }
    // What still runs writes to it.
    if failures.is_empty() {
        let removed = data.into_iter().map(|place| data::remove(&place?));
        failures.extend(removed.filter_map(Result::err));
    }
    Failure::all(failures)
}

const NONE: &str = "no service runs the programs of this directory";

/// Whether there was one.
fn remove(name: &str) -> Result<bool, Failure> {
    let state = state(name)?;
    if state == ServiceState::Missing {
        return Ok(false);
    }
    tidegate_host::remove_service(name).map_err(failed)?;
    println!("service {name} {}", removed(state, self::state(name)?));
    Ok(true)
}

/// What has become of a service that was removed, by what it did before and does after.
fn removed(before: ServiceState, after: ServiceState) -> &'static str {
    match (is_at_rest(before), after) {
        (_, ServiceState::Missing) => "removed",
        (true, _) => "is to be removed as soon as services.msc and whatever else looks at it is closed",
        (false, _) => "is to be removed as soon as its process ends, which it has not",
    }
}

/// Stops those of them that run. One that does not stop keeps no other from being stopped.
pub(super) async fn stop(pairs: &[Pair]) -> Result<(), Failure> {
    let mut failures = Vec::new();
    for part in PARTS.iter().rev() {
        let mut stopping = Vec::new();
        for pair in pairs {
            let name = pair.name(part);
            match ask(&name) {
                Ok(true) => stopping.push((name, patience(pair))),
                Ok(false) => {}
                Err(failure) => failures.push(failure),
            }
        }
        let asked = Instant::now();
        for (name, patience) in stopping {
            failures.extend(stopped(&name, asked, patience).await.err());
        }
    }
    Failure::all(failures)
}

/// Asks a service to stop. Whether it has to.
fn ask(name: &str) -> Result<bool, Failure> {
    let state = state(name)?;
    if is_at_rest(state) {
        return Ok(false);
    }
    println!("service {name} stops");
    if state != ServiceState::Stopping {
        tidegate_host::stop_service(name).map_err(failed)?;
    }
    Ok(true)
}

/// Waits for a service that was asked to stop.
async fn stopped(name: &str, asked: Instant, patience: Duration) -> Result<(), Failure> {
    let mut last_asked = asked;
    loop {
        let state = state(name)?;
        if is_at_rest(state) {
            return Ok(());
        }
        if asked.elapsed() > patience {
            return Err(Failure::new(format!("service {name} has not stopped after {} s", patience.as_secs()))
                .next("end its process, which ends what it started as well"));
        }
        if is_to_be_asked(state, last_asked.elapsed()) {
            tidegate_host::stop_service(name).map_err(failed)?;
            last_asked = Instant::now();
        }
        sleep(LOOK).await;
    }
}

/// One that did not hear it, or that the system has started anew. One that stops has heard it.
fn is_to_be_asked(state: ServiceState, since: Duration) -> bool {
    matches!(state, ServiceState::Starting | ServiceState::Running { .. }) && since >= AGAIN
}

fn is_at_rest(state: ServiceState) -> bool {
    matches!(state, ServiceState::Missing | ServiceState::Stopped | ServiceState::Failed { .. })
}

/// What the site file of the services themselves allows. One that has become wrong does not keep them from being stopped.
fn patience(pair: &Pair) -> Duration {
    let site = pair.site_file().and_then(|file| tidegate_site::load(&file).ok());
    site.map_or(USUAL, |site| (site.apps_drain().max(site.limits.drain_timeout) + MARGIN).max(USUAL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_service_that_is_gone_is_called_removed() {
        let running = ServiceState::Running { pid: 1 };
        assert_eq!(removed(ServiceState::Stopped, ServiceState::Missing), "removed");
        assert!(removed(ServiceState::Stopped, ServiceState::Stopped).contains("services.msc"));
        assert!(removed(running, running).contains("process"));
    }

    #[test]
    fn only_a_service_that_goes_on_is_asked_again() {
        let now = Duration::from_millis(200);
        for (state, since, expected) in [
            (ServiceState::Running { pid: 1 }, now, false),
            (ServiceState::Running { pid: 1 }, AGAIN, true),
            (ServiceState::Starting, AGAIN, true),
            (ServiceState::Stopping, AGAIN, false),
            (ServiceState::Stopped, AGAIN, false),
            (ServiceState::Failed { code: 1 }, AGAIN, false),
        ] {
            assert_eq!(is_to_be_asked(state, since), expected, "{state:?} {since:?}");
        }
    }
}
