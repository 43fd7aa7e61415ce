//! `tidegate service install`: what each service of a site is, and making or changing it.

use std::ffi::OsString;
use std::time::Duration;

use tidegate_contract::MaintenanceState;
use tidegate_host::{Installed, Service, Start};
use tidegate_site::Site;

use super::pair::{PARTS, Pair};
use super::writable::Writable;
use super::{MARGIN, account, code, failed, places, takeover, writable};
use crate::args;
use crate::failure::Failure;
use crate::store_key;
use crate::style::Style;
use crate::up;

/// Installs both services, or changes installed ones.
pub(super) fn run(site: &Site, arguments: &args::ServiceInstall, style: Style) -> Result<(), Failure> {
    let mut accounts = account::both(arguments)?;
    let is_new = takeover::is_due(arguments) && {
        accounts = takeover::accounts(site, accounts, arguments, style)?;
        !accounts.are_one()
    };
    let mut services = services(site, arguments, &accounts)?;
    // Units that a package brings serve a site on another machine.
    if arguments.unit_dir.is_none() {
        code::refuse_open(site, &accounts, arguments.keep_permissions, style)?;
    }
    if let Some((account, password)) = account::password(arguments)? {
        show(&tidegate_host::prepare_service_account(&account, &password).map_err(account::failed)?, style);
        for service in services.iter_mut().filter(|service| service.account.as_ref() == Some(&account)) {
            service.password = Some(password.clone());
        }
    }
    let installed = tidegate_host::install_services(&services, arguments.unit_dir.as_deref()).map_err(|failure| {
        for line in &failure.done {
            println!("{line}");
        }
        failed(failure.error)
    })?;
    show(&installed, style);
    if arguments.unit_dir.is_none() {
        for line in writable::refused(site, &accounts) {
            eprintln!("{} {line}", style.warning("warning:"));
        }
    }
    if accounts.are_one() {
        eprintln!("{} {}", style.warning("warning:"), one_account(&accounts.server));
    }
    if arguments.unit_dir.is_none() && !arguments.keep_permissions {
        code::close(site, &accounts, style);
    }
    // What the proxy reads must become its new account's whatever else stays.
    if arguments.unit_dir.is_none() && (is_new || !arguments.keep_permissions) {
        places::protect(site, &accounts, style);
        store_key::grant_all(site, &accounts.proxy, style);
    }
    if arguments.unit_dir.is_none() && !arguments.start && !arguments.all {
        println!("start them with `tidegate service start`");
    }
    Ok(())
}

fn show(installed: &Installed, style: Style) {
    for line in &installed.done {
        println!("{line}");
    }
    for line in &installed.warnings {
        eprintln!("{} {line}", style.warning("warning:"));
    }
}

/// Brings every pair of this installation up to date. One that cannot be keeps no other from it.
pub(super) fn all(style: Style) -> Result<(), Failure> {
    let again = |pair: &Pair| {
        let [server, proxy] = pair.names();
        let file = pair.site_file().ok_or_else(|| {
            Failure::new(format!("it is not known which site file {server} and {proxy} serve"))
                .next(format!("`tidegate --config FILE service install --name {}`", pair.set))
        })?;
        let arguments = args::ServiceInstall {
            set: args::ServiceSet { name: pair.set.clone() },
            all: true,
            account: None,
            proxy_account: None,
            password_stdin: false,
            automatic: false,
            delayed: false,
            keep_permissions: true,
            start: false,
            unit_dir: None,
        };
        run(&super::load(&file)?, &arguments, style)
    };
    Failure::all(Pair::all()?.iter().filter_map(|pair| again(pair).err()).collect())
}

/// What it means that both services have one account.
fn one_account(account: &str) -> String {
    format!(
        "both services run under {account}: apps can read the proxy's keys, passwords and buffered bodies, and can stop it; \
         --proxy-account gives the proxy an account of its own, `--account default` both"
    )
}

/// The site's file, and the set where there may be several: Windows wants titles that differ.
fn title(what: &str, site: &Site, set: &args::ServiceSet) -> String {
    // systemd has only the small letters of it.
    let is_usual = set.name.eq_ignore_ascii_case(args::DEFAULT_SET);
    let name = if is_usual { String::new() } else { format!(" {}", set.name) };
    format!("Tidegate {what}{name} ({})", site.file.display())
}

/// Both services, as this site needs them.
fn services(
    site: &Site,
    arguments: &args::ServiceInstall,
    accounts: &places::Accounts,
) -> Result<[Service; 2], Failure> {
    let [server, proxy] = Pair::of(&arguments.set).names();
    let file = &site.file;
    let command = |part: &str| up::program(part);
    let config = || [OsString::from("--config"), file.clone().into()];
    let of = |name: &str, drain: Duration| -> Vec<OsString> {
        // A reload that allows more is beyond what the service manager waits for, and says so.
        let service = ["--service".into(), name.into(), "--stop-limit".into(), drain.as_secs().to_string().into()];
        config().into_iter().chain(service).collect()
    };
    let mut server_arguments = of(&server, site.apps_drain());
    let mut proxy_arguments = of(&proxy, site.limits.drain_timeout);
    // The pipes and sockets of one account are for that account anyway.
    let two = (!accounts.are_one()).then_some(accounts);
    if let Some(accounts) = two {
        server_arguments.extend(["--trust".into(), accounts.proxy.clone().into()]);
        // Windows' service manager tells the proxy whose the app server is.
        if tidegate_host::service_account(&server).is_none() {
            proxy_arguments.extend(["--trust".into(), accounts.server.clone().into()]);
        }
    }
    let start = match (arguments.automatic, arguments.delayed) {
        (true, _) => Some(Start::Automatic),
        (_, true) => Some(Start::Delayed),
        _ => None,
    };
    let reload: Vec<_> = [command("tidegate")?.into()].into_iter().chain(config()).chain(["reload".into()]).collect();
    let Writable { own, others } = Writable::of(site);
    let below = Writable::below(site);
    let server_log = site.log.file_of(PARTS[0]);
    Ok([
        Service {
            name: server.clone(),
            set: arguments.set.name.clone(),
            after: None,
            title: title("app server", site, &arguments.set),
            description: "Supervises the Python processes of the site.".to_owned(),
            program: command("tidegate-appserver")?,
            arguments: server_arguments,
            account: Some(accounts.server.clone()),
            password: None,
            start,
            stop_timeout: site.apps_drain() + MARGIN,
            reload: reload.clone(),
            // The buffers, too: a proxy that still runs under the apps' account goes on until it is restarted.
            writable: own.clone(),
            below: below.clone(),
            files: std::iter::once(site.state_dir.join(MaintenanceState::FILE)).chain(server_log.clone()).collect(),
            writable_by_others: others.clone(),
            instance: site.instance.clone(),
            other_account: two.map(|accounts| accounts.proxy.clone()),
            confined: false,
            listeners: Vec::new(),
        },
        Service {
            name: proxy,
            set: arguments.set.name.clone(),
            after: Some(server),
            title: title("proxy", site, &arguments.set),
            description: "Serves the site: TLS, static files, and requests to the app server.".to_owned(),
            program: command("tidegate-proxy")?,
            arguments: proxy_arguments,
            account: Some(accounts.proxy.clone()),
            password: None,
            start,
            stop_timeout: site.limits.drain_timeout + MARGIN,
            reload,
            writable: own,
            below,
            files: Vec::new(),
            writable_by_others: others,
            instance: site.instance.clone(),
            other_account: two.map(|accounts| accounts.server.clone()),
            confined: true,
            listeners: site.listeners.iter().map(|listener| listener.address).collect(),
        },
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_sets_of_one_site_have_titles_of_their_own() {
        let file = std::env::temp_dir().join(format!("tg-title-{}.yaml", std::process::id()));
        std::fs::write(&file, "apps: { shop: { wsgi: \"a:b\" } }\n").unwrap();
        let site = tidegate_site::load(&file).unwrap();
        let of = |name: &str| title("proxy", &site, &args::ServiceSet { name: name.to_owned() });
        let shown = site.file.display();
        assert_eq!(of("Tidegate"), format!("Tidegate proxy ({shown})"));
        assert_eq!(of("Shop"), format!("Tidegate proxy Shop ({shown})"));
        std::fs::remove_file(&file).unwrap();
    }
}
