//! Who may use what the site file names: secrets are nobody's business but the services', nobody else may write what the services
//! run, and the services' accounts may use what they need.

mod kept;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use tidegate_host::access::Rule;
use tidegate_host::certificate_store::{self, StoreName};
use tidegate_host::{By, machine};
use tidegate_site::{Reader, Secret, Site};
use time::OffsetDateTime;

use super::services::Services;
use crate::code;
use crate::finding::Report;
use crate::service::needs;
use crate::service::places::Accounts;
use crate::service::writable::{self, Writable};
use crate::store_key::{self, Named};

const TOPIC: &str = "rights";

/// Whether an account may read a place, or write to it, if that can be told.
trait MayUse: Fn(&str, &Path, bool) -> Option<bool> {}
impl<F: Fn(&str, &Path, bool) -> Option<bool>> MayUse for F {}

/// Looks at them.
pub(super) fn look(site: &Site, services: &Services, report: &mut Report) {
    let server = services.server.as_ref().map(|settings| settings.account.as_str());
    let proxy = services.proxy.as_ref().map(|settings| settings.account.as_str());
    let accounts =
        server.zip(proxy).map(|(server, proxy)| Accounts { server: server.to_owned(), proxy: proxy.to_owned() });
    match &accounts {
        Some(accounts) => kept::look(site, accounts, report),
        None => open_secrets(site, server, proxy, report),
    }
    let may_use = |account: &str, path: &Path, write: bool| match &accounts {
        Some(accounts) => accounts.may_use(account, path, write),
        None => machine::may_use(account, path, write),
    };
    open_code(site, &[server, proxy], services.any(), report);
    let code = code::needed(site);
    let mut of_server = needs::of_server(site);
    for path in &code {
        of_server.entry(path).or_insert(false);
    }
    for (account, needs) in [(server, of_server), (proxy, needs::of_proxy(site))] {
        let Some(account) = account else { continue };
        look_at(account, &needs, may_use, report);
        logs(site, account, may_use, report);
    }
    if services.any() {
        missing(site, report);
    }
    if let Some(proxy) = proxy {
        store_keys(site, proxy, report);
    }
}

/// Secrets that everybody may read. More is not wrong where no services are installed.
fn open_secrets(site: &Site, server: Option<&str>, proxy: Option<&str>, report: &mut Report) {
    let (mut kept, mut open) = (0, 0);
    for Secret { what, file: path, reader } in &site.secrets() {
        let account = if *reader == Reader::AppServer { server } else { proxy };
        let rule = Rule { readers: account.map(str::to_owned).into_iter().collect(), ..Rule::default() };
        match tidegate_host::access::describe(path) {
            Ok(access) => match access.entries.iter().find(|entry| entry.is_for_everybody() && entry.rights.read) {
                Some(entry) => {
                    open += 1;
                    let text = format_args!("{what} {}: {entry}", path.display());
                    report.problem(TOPIC, text, machine::protect_command(path, &rule));
                }
                None => kept += 1,
            },
            Err(error) => report.unknown(TOPIC, error),
        }
    }
    if kept > 0 && open == 0 {
        report.good(TOPIC, format_args!("what is secret ({kept}) is kept from others"));
    }
}

/// Who may write what the services run.
fn open_code(site: &Site, accounts: &[Option<&str>], installed: bool, report: &mut Report) {
    let trusted: Vec<String> = accounts.iter().flatten().map(|&account| account.to_owned()).collect();
    for open in code::open_places(site, &trusted) {
        let (sentence, command) = (open.sentence(), open.command(&trusted));
        match open.writer.by {
            By::BeingAnybody if installed => {
                report.problem(TOPIC, format_args!("{sentence}, and so runs code as the services do"), command);
            }
            By::BeingAnybody => {
                let text = format_args!("{sentence}: `tidegate service install` would refuse or close it");
                report.warning(TOPIC, text, command);
            }
            // Somebody has to deploy.
            By::AnEntry | By::OwningIt if installed => {
                let text = format_args!("{sentence}, and so can run code as the services do");
                report.warning(TOPIC, text, format_args!("nothing, if that is who deploys the site; else {command}"));
            }
            By::AnEntry | By::OwningIt => {}
        }
    }
}

/// Whether the proxy's account may use the keys of the certificates that the site has in the Windows store. What is wrong with
/// the certificates themselves was said before.
fn store_keys(site: &Site, account: &str, report: &mut Report) {
    let now = OffsetDateTime::now_utc().unix_timestamp();
    for Named { store, pick } in store_key::named(site) {
        let Ok(thumbprint) = tidegate_certs::pick_from_windows_store(store, pick, now) else { continue };
        let may_use = certificate_store::may_use_key(store, &thumbprint, account);
        judge_key(store, &thumbprint, account, &may_use, report);
    }
}

fn judge_key(
    store: &StoreName,
    thumbprint: &str,
    account: &str,
    may_use: &io::Result<Option<bool>>,
    report: &mut Report,
) {
    let text = format!("private key of {thumbprint} in {store}: {}", store_key::words(account, may_use));
    match may_use {
        Ok(Some(false)) => report.problem(
            TOPIC,
            text,
            format_args!("`tidegate service install`, which lets it; or {}", store_key::by_hand(account)),
        ),
        Err(error) if error.kind() == io::ErrorKind::Unsupported => report.warning(
            TOPIC,
            text,
            "import the certificate by `tidegate certificate import FILE.pfx`, which puts its key where the proxy can use it",
        ),
        Ok(Some(true)) => report.good(TOPIC, text),
        Ok(None) | Err(_) => report.unknown(TOPIC, text),
    }
}

/// Whether an account may use what it needs.
fn look_at(account: &str, needs: &BTreeMap<&Path, bool>, may_use: impl MayUse, report: &mut Report) {
    let (mut known, mut refused) = (0, 0);
    for (&path, &write) in needs.iter().filter(|(path, _)| path.exists()) {
        match may_use(account, path, write) {
            Some(true) => known += 1,
            Some(false) => {
                refused += 1;
                let what = if write { "write to" } else { "read" };
                report.problem(
                    TOPIC,
                    format_args!("{account} may not {what} {}", path.display()),
                    machine::grant_command(path, account, write),
                );
            }
            None => {}
        }
    }
    if refused == 0 && known > 0 {
        report.good(TOPIC, format_args!("{account} may use the {known} files and directories that it needs"));
    } else if refused == 0 && known == 0 {
        report.unknown(TOPIC, format_args!("what {account} may use: run this as administrator (root)"));
    }
}

/// Whether an account may write where log files are; `state_dir` was looked at.
fn logs(site: &Site, account: &str, may_use: impl MayUse, report: &mut Report) {
    for directory in writable::log_directories(site) {
        if directory != site.state_dir && may_use(account, &directory, true) == Some(false) {
            let text = format_args!("{account} may not write to {}, where a log file is", directory.display());
            report.problem(TOPIC, text, writable::advice(site, &directory, account));
        }
    }
}

/// A service cannot make its directories: it may not write beside them, and systemd starts nothing without them (226/NAMESPACE).
fn missing(site: &Site, report: &mut Report) {
    for directory in Writable::of(site).own.iter().filter(|directory| !directory.exists()) {
        let text = format_args!("{} is not there, and the services cannot make it", directory.display());
        report.problem(TOPIC, text, "`tidegate service install`, which makes it for them");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::finding::{Form, Verdict};
    use crate::style::Style;

    #[test]
    fn a_key_of_the_store_is_good_unless_the_proxy_is_known_to_be_kept_from_it() {
        let store: StoreName = r"LocalMachine\My".parse().unwrap();
        let refused = |kind| Err(io::Error::from(kind));
        for (may_use, verdict, word) in [
            (Ok(Some(true)), Verdict::Good, "may use it"),
            (Ok(None), Verdict::Unknown, "unknown"),
            (refused(io::ErrorKind::PermissionDenied), Verdict::Unknown, "unknown"),
            (Ok(Some(false)), Verdict::Problem, "may not use it"),
            (refused(io::ErrorKind::Unsupported), Verdict::Warning, "unknown"),
        ] {
            let mut report = Report::new(Form::Json, Style::plain());
            judge_key(&store, "AB12", r"NT SERVICE\TidegateProxy", &may_use, &mut report);
            assert_eq!(report.count(verdict), 1, "{may_use:?}");
            let found = &report.json()["findings"][0];
            assert!(found["text"].as_str().unwrap().contains(word), "{found}");
            assert_eq!(found["next"] == Value::Null, !verdict.is_bad(), "{found}");
        }
    }
}
