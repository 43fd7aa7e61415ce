//! `tidegate service`: installs the pair as services of the system and drives them. What a service is on which system
//! is known to `tidegate_host` alone.

mod places;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tidegate_host::{Service, ServiceState};
use tidegate_site::Site;
use time::OffsetDateTime;
use tokio::time::{Instant, sleep};

use crate::args;
use crate::failure::Failure;
use crate::store_key;
use crate::style::Style;
use crate::table::{Cell, Tone, render};
use crate::up;

/// Between two looks at a service that starts or stops.
const LOOK: Duration = Duration::from_millis(200);
/// Beyond what the site file allows the programs to take.
const MARGIN: Duration = Duration::from_secs(15);
/// The two services, in the order in which they start.
pub(crate) const PARTS: [&str; 2] = ["appserver", "proxy"];

/// Runs the command.
pub(crate) async fn run(config: &Path, command: &args::Service, style: Style) -> Result<(), Failure> {
    match command {
        args::Service::Install(arguments) => {
            let site = load(config)?;
            install(&site, arguments, style)?;
            if arguments.start { start(&site, &arguments.set, style).await } else { Ok(()) }
        }
        args::Service::Uninstall(set) => uninstall(config, set).await,
        args::Service::Start(arguments) if arguments.no_wait => start_both(&arguments.set),
        args::Service::Start(arguments) => start(&load(config)?, &arguments.set, style).await,
        args::Service::Stop(set) => stop(stop_patience(config), set).await,
        args::Service::Restart(set) => {
            let site = load(config)?;
            if tidegate_host::restart_services(&set.name).map_err(failed)? {
                return serving(&site, set, style).await;
            }
            stop(stop_patience(config), set).await?;
            start(&site, set, style).await
        }
        args::Service::Reload(set) => reload_both(set),
        args::Service::Status(set) => status(set, style),
    }
}

fn load(config: &Path) -> Result<Site, Failure> {
    tidegate_site::load(config).map_err(|error| Failure::configuration(config, &error))
}

fn name(set: &args::ServiceSet, part: &str) -> String {
    tidegate_host::service_name(&set.name, part)
}

fn install(site: &Site, arguments: &args::ServiceInstall, style: Style) -> Result<(), Failure> {
    let services = services(site, arguments)?;
    let installed = tidegate_host::install_services(&services, arguments.unit_dir.as_deref()).map_err(|error| {
        Failure::new(error.to_string()).next("nothing else was changed; correct it and install again")
    })?;
    for line in &installed.done {
        println!("{line}");
    }
    for line in &installed.warnings {
        eprintln!("{} {line}", style.warning("warning:"));
    }
    if arguments.unit_dir.is_none() && !arguments.keep_permissions {
        let accounts = accounts(arguments);
        places::protect(site, &accounts, style);
        store_key::grant_all(site, &accounts.proxy, style);
    }
    if arguments.unit_dir.is_none() && !arguments.start {
        println!("start them with `tidegate service start`");
    }
    Ok(())
}

/// Under which each service runs.
fn accounts(arguments: &args::ServiceInstall) -> places::Accounts {
    let of = |part: &str| {
        let usual = || tidegate_host::usual_service_account(&name(&arguments.set, part));
        arguments.account.clone().unwrap_or_else(usual)
    };
    places::Accounts { server: of(PARTS[0]), proxy: of(PARTS[1]) }
}

/// Both services, as this site needs them.
fn services(site: &Site, arguments: &args::ServiceInstall) -> Result<[Service; 2], Failure> {
    let [server, proxy] = PARTS.map(|part| name(&arguments.set, part));
    let file = &site.file;
    let command = |part: &str| up::program(part);
    let config = || ["--config".into(), file.clone().into()];
    let of = |name: &str| -> Vec<_> { config().into_iter().chain(["--service".into(), name.into()]).collect() };
    let (mut server_arguments, proxy_arguments) = (of(&server), of(&proxy));
    if arguments.account.is_none()
        && let Some(account) = tidegate_host::service_account(&proxy)
    {
        server_arguments.extend(["--trust".into(), account.into()]);
    }
    let reload: Vec<_> = [command("tidegate")?.into()].into_iter().chain(config()).chain(["reload".into()]).collect();
    let writable = writable(site);
    Ok([
        Service {
            name: server.clone(),
            set: arguments.set.name.clone(),
            after: None,
            title: format!("Tidegate app server ({})", file.display()),
            description: "Supervises the Python processes of the site.".to_owned(),
            program: command("tidegate-appserver")?,
            arguments: server_arguments,
            account: arguments.account.clone(),
            delayed: arguments.delayed,
            stop_timeout: up::drain(site) + MARGIN,
            reload: reload.clone(),
            writable: writable.clone(),
            confined: false,
            listeners: Vec::new(),
        },
        Service {
            name: proxy,
            set: arguments.set.name.clone(),
            after: Some(server),
            title: format!("Tidegate proxy ({})", file.display()),
            description: "Serves the site: TLS, static files, and requests to the app server.".to_owned(),
            program: command("tidegate-proxy")?,
            arguments: proxy_arguments,
            account: arguments.account.clone(),
            delayed: arguments.delayed,
            stop_timeout: site.limits.drain_timeout + MARGIN,
            reload,
            writable,
            confined: true,
            listeners: site.listeners.iter().map(|listener| listener.address).collect(),
        },
    ])
}

/// What the programs write to.
fn writable(site: &Site) -> Vec<PathBuf> {
    let mut directories = vec![site.state_dir.clone()];
    if !site.limits.buffer.directory.starts_with(&site.state_dir) {
        directories.push(site.limits.buffer.directory.clone());
    }
    directories
}

async fn uninstall(config: &Path, set: &args::ServiceSet) -> Result<(), Failure> {
    stop(stop_patience(config), set).await?;
    let mut removed = 0;
    for part in PARTS.iter().rev() {
        let name = name(set, part);
        if state(&name)? == ServiceState::Missing {
            continue;
        }
        tidegate_host::remove_service(&name).map_err(failed)?;
        println!("service {name} removed");
        removed += 1;
    }
    if removed == 0 {
        println!("there are no services {} and {}", name(set, PARTS[0]), name(set, PARTS[1]));
    }
    Ok(())
}

/// Starts what does not run.
fn start_both(set: &args::ServiceSet) -> Result<(), Failure> {
    for part in PARTS {
        let name = name(set, part);
        match state(&name)? {
            ServiceState::Missing => return Err(missing(&name)),
            ServiceState::Running { .. } | ServiceState::Starting => println!("service {name} runs already"),
            _ => {
                tidegate_host::start_service(&name).map_err(failed)?;
                println!("service {name} starts");
            }
        }
    }
    Ok(())
}

/// The same, and waits until the site serves as `tidegate up` does.
async fn start(site: &Site, set: &args::ServiceSet, style: Style) -> Result<(), Failure> {
    start_both(set)?;
    serving(site, set, style).await
}

/// Waits until the site serves, and shows it.
async fn serving(site: &Site, set: &args::ServiceSet, style: Style) -> Result<(), Failure> {
    let names = PARTS.map(|part| name(set, part));
    let patience = site.apps.iter().map(|app| app.start_timeout).max().unwrap_or_default() + MARGIN;
    let deadline = Instant::now() + patience;
    loop {
        if let Ok(report) = up::look(site).await
            && up::is_settled(&report)
        {
            print!("{}", up::report::show(&report, OffsetDateTime::now_utc(), style));
            return Ok(());
        }
        for name in &names {
            if let ServiceState::Failed { code } = state(name)? {
                return Err(Failure::new(format!("service {name} ended with code {code}")).next(LOOK_AT_LOGS));
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

const LOOK_AT_LOGS: &str = "its log says why; `tidegate check` looks for the usual reasons";

/// First the proxy, which finishes what clients have asked for, then the app server.
async fn stop(patience: Duration, set: &args::ServiceSet) -> Result<(), Failure> {
    for part in PARTS.iter().rev() {
        let name = name(set, part);
        if matches!(state(&name)?, ServiceState::Missing | ServiceState::Stopped | ServiceState::Failed { .. }) {
            continue;
        }
        println!("service {name} stops");
        tidegate_host::stop_service(&name).map_err(failed)?;
        let deadline = Instant::now() + patience;
        while !matches!(state(&name)?, ServiceState::Missing | ServiceState::Stopped | ServiceState::Failed { .. }) {
            if Instant::now() > deadline {
                return Err(Failure::new(format!("service {name} has not stopped after {} s", patience.as_secs()))
                    .next("end its process, which ends what it started as well"));
            }
            sleep(LOOK).await;
        }
    }
    Ok(())
}

/// A site file that has become wrong does not keep its services from being stopped.
fn stop_patience(config: &Path) -> Duration {
    const USUAL: Duration = Duration::from_secs(60);
    tidegate_site::load(config)
        .map_or(USUAL, |site| (up::drain(&site).max(site.limits.drain_timeout) + MARGIN).max(USUAL))
}

fn reload_both(set: &args::ServiceSet) -> Result<(), Failure> {
    // The app server coordinates it; the proxy follows.
    let name = name(set, PARTS[0]);
    if state(&name)? == ServiceState::Missing {
        return Err(missing(&name));
    }
    tidegate_host::reload_service(&name).map_err(failed)?;
    println!("service {name} loads the site file anew; its log says how that ends");
    Ok(())
}

fn status(set: &args::ServiceSet, style: Style) -> Result<(), Failure> {
    let mut rows = Vec::new();
    let mut all_run = true;
    for part in PARTS {
        let name = name(set, part);
        let state = state(&name)?;
        all_run &= matches!(state, ServiceState::Running { .. });
        let (text, tone) = match state {
            ServiceState::Missing => ("not installed".to_owned(), Tone::Bad),
            ServiceState::Stopped => ("stopped".to_owned(), Tone::Warning),
            ServiceState::Starting => ("starting".to_owned(), Tone::Plain),
            ServiceState::Running { .. } => ("running".to_owned(), Tone::Good),
            ServiceState::Stopping => ("stopping".to_owned(), Tone::Plain),
            ServiceState::Failed { code } => (format!("failed, code {code}"), Tone::Bad),
        };
        let pid = if let ServiceState::Running { pid } = state { pid.to_string() } else { "-".to_owned() };
        rows.push([Cell::new(name), Cell::toned(text, tone), Cell::new(pid)]);
    }
    print!("{}", render(["SERVICE", "STATE", "PID"], &rows, style));
    if all_run {
        return Ok(());
    }
    Err(Failure::new("not both services run").next("`tidegate service install --start` installs and starts them"))
}

fn state(name: &str) -> Result<ServiceState, Failure> {
    tidegate_host::service_state(name).map_err(failed)
}

fn missing(name: &str) -> Failure {
    Failure::new(format!("there is no service {name}"))
        .next("`tidegate service install` makes it; --name names another set")
}

fn failed(error: std::io::Error) -> Failure {
    Failure::new(error.to_string())
        .next("run this as administrator (root), with the services' names from `tidegate service status`")
}
