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
    let chosen = chosen(arguments)?;
    let of = |part: &str| {
        let name = pair.name(part);
        let usual = || tidegate_host::usual_service_account(&name);
        if let Some(chosen) = &chosen {
            return Ok(chosen.name.clone());
        }
        if arguments.account.is_some() || arguments.unit_dir.is_some() {
            return Ok(usual());
        }
        let settings = tidegate_host::service_settings(&name).map_err(super::failed)?;
        Ok(settings.map_or_else(usual, |settings| settings.account))
    };
    Ok(Accounts { server: of(PARTS[0])?, proxy: of(PARTS[1])? })
}

/// The account that was asked for with its password, where it has one.
pub(super) fn password(arguments: &args::ServiceInstall) -> Result<Option<(String, Password)>, Failure> {
    let chosen = chosen(arguments)?.filter(|chosen| chosen.has_password);
    match chosen {
        None if arguments.password_stdin => {
            let account = arguments.account.as_deref().unwrap_or(DEFAULT);
            Err(Failure::new(format!("--password-stdin: {account} runs services without a password")).next(
                "leave --password-stdin out; it is for accounts of Windows such as DOMAIN\\name, and on Linux no service needs one",
            ))
        }
        None => Ok(None),
        // A script that says each time which account it wants, and has no new password for it.
        Some(chosen) if !is_asked(arguments) && is_kept(&Pair::of(&arguments.set), &chosen.name)? => Ok(None),
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

/// Whether both services have this account already, with the password that the service manager keeps.
fn is_kept(pair: &Pair, account: &str) -> Result<bool, Failure> {
    for name in pair.names() {
        let settings = tidegate_host::service_settings(&name).map_err(super::failed)?;
        if !settings.is_some_and(|settings| settings.account.eq_ignore_ascii_case(account)) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn chosen(arguments: &args::ServiceInstall) -> Result<Option<ServiceAccount>, Failure> {
    let Some(account) = arguments.account.as_deref().filter(|account| *account != DEFAULT) else { return Ok(None) };
    tidegate_host::check_service_account(account)
        .map(Some)
        .map_err(|text| Failure::new(text).next("name such an account, or leave --account out"))
}

/// The failure of an account that the system does not let log on.
pub(super) fn failed(error: io::Error) -> Failure {
    Failure::new(error.to_string())
        .next("nothing was installed: name another account, or correct this one or its password, then run this again")
}
