//! The accounts that `service install` gives the services: what was asked for, with the password that the service manager is to
//! keep, or what they have. Tidegate keeps no password.

use std::io::{self, IsTerminal as _, stdin};

use tidegate_host::{Password, ServiceAccount};

use super::pair::{PARTS, Pair};
use super::places::Accounts;
use crate::args;
use crate::failure::Failure;
use crate::password;

/// Stands for the account that each service has where none is chosen.
const DEFAULT: &str = "default";

/// Under which each service runs: what was asked for, else the account that it has.
pub(super) fn both(arguments: &args::ServiceInstall) -> Result<Accounts, Failure> {
    let pair = Pair::of(&arguments.set);
    let asked = arguments.account.as_deref();
    let proxy = chosen(arguments.proxy_account.as_deref())?;
    if let Some(proxy) = proxy.filter(|proxy| proxy.has_password) {
        return Err(Failure::new(format!("--proxy-account: {} has a password", proxy.name))
            .next("name one without, such as `default`; --account takes one with a password"));
    }
    let of = |part: &str, asked: Option<&str>| {
        let name = pair.name(part);
        let usual = || tidegate_host::usual_service_account(&name);
        if let Some(chosen) = chosen(asked)? {
            return Ok(chosen.name);
        }
        if asked.is_some() || arguments.unit_dir.is_some() {
            return Ok(usual());
        }
        let settings = tidegate_host::service_settings(&name).map_err(super::failed)?;
        Ok(settings.map_or_else(usual, |settings| settings.account))
    };
    let of_proxy = arguments.proxy_account.as_deref().or(asked);
    Ok(Accounts { server: of(PARTS[0], asked)?, proxy: of(PARTS[1], of_proxy)? })
}

/// The account that was asked for with its password, where it has one.
pub(super) fn password(arguments: &args::ServiceInstall) -> Result<Option<(String, Password)>, Failure> {
    let chosen = chosen(arguments.account.as_deref())?.filter(|chosen| chosen.has_password);
    match chosen {
        None if arguments.password_stdin => {
            let account = arguments.account.as_deref().unwrap_or(DEFAULT);
            Err(Failure::new(format!("--password-stdin: {account} runs services without a password")).next(
                "leave --password-stdin out; it is for accounts of Windows such as DOMAIN\\name, and on Linux no service needs one",
            ))
        }
        None => Ok(None),
        // A script that says each time which account it wants, and has no new password for it.
        Some(chosen) if !is_asked(arguments) && is_kept(arguments, &chosen.name)? => Ok(None),
        Some(chosen) if !is_asked(arguments) => {
            Err(Failure::new(format!("{} has a password, and there is no console to ask for it", chosen.name))
                .next("pipe it into this command with --password-stdin, or run it in a console"))
        }
        Some(chosen) => {
            let password = password::read(&format!("password of {}", chosen.name))?;
            Ok(Some((chosen.name, password)))
        }
    }
}

/// Whether there is a password to be had.
fn is_asked(arguments: &args::ServiceInstall) -> bool {
    arguments.password_stdin || stdin().is_terminal()
}

/// Whether the services that it is for have this account already, with the password that the service manager keeps.
fn is_kept(arguments: &args::ServiceInstall, account: &str) -> Result<bool, Failure> {
    let [server, proxy] = Pair::of(&arguments.set).names();
    for name in std::iter::once(server).chain(arguments.proxy_account.is_none().then_some(proxy)) {
        let settings = tidegate_host::service_settings(&name).map_err(super::failed)?;
        if !settings.is_some_and(|settings| settings.account.eq_ignore_ascii_case(account)) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn chosen(asked: Option<&str>) -> Result<Option<ServiceAccount>, Failure> {
    let Some(account) = asked.filter(|account| *account != DEFAULT) else { return Ok(None) };
    tidegate_host::check_service_account(account)
        .map(Some)
        .map_err(|text| Failure::new(text).next("name such an account, or leave --account out"))
}

/// The failure of an account that the system does not let log on.
pub(super) fn failed(error: io::Error) -> Failure {
    Failure::new(error.to_string())
        .next("nothing was installed: name another account, or correct this one or its password, then run this again")
}
