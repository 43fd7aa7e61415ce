//! `tidegate service install`: what each service of a site is, and making or changing it.

use std::path::PathBuf;

use tidegate_host::Service;
use tidegate_site::Site;

use super::pair::{PARTS, Pair};
use super::{MARGIN, places};
use crate::args;
use crate::failure::Failure;
use crate::store_key;
use crate::style::Style;
use crate::up;

/// Installs both services, or changes installed ones.
pub(super) fn run(site: &Site, arguments: &args::ServiceInstall, style: Style) -> Result<(), Failure> {
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
        let usual = || tidegate_host::usual_service_account(&Pair::of(&arguments.set).name(part));
        arguments.account.clone().unwrap_or_else(usual)
    };
    places::Accounts { server: of(PARTS[0]), proxy: of(PARTS[1]) }
}

/// Both services, as this site needs them.
fn services(site: &Site, arguments: &args::ServiceInstall) -> Result<[Service; 2], Failure> {
    let [server, proxy] = Pair::of(&arguments.set).names();
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
