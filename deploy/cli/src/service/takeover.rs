//! An installation whose proxy runs under the apps' account, because an earlier version knew one only: the proxy gets an account of
//! its own, unless that could not read what it needs. Then it stays where it is, since an upgrade must not end a site.

use std::path::Path;

use tidegate_host::{access, machine};
use tidegate_site::Site;

use super::failed;
use super::needs;
use super::pair::{PARTS, Pair};
use super::places::{Accounts, places};
use super::writable::{self, Writable};
use crate::args;
use crate::failure::Failure;
use crate::style::Style;

/// What brings the rest about.
const NEXT: &str = "then `tidegate service install --account default`";

/// Whether nobody chose the account that the proxy has.
pub(super) fn is_due(arguments: &args::ServiceInstall) -> bool {
    let is_chosen = arguments.account.is_some() || arguments.proxy_account.is_some() || arguments.unit_dir.is_some();
    !is_chosen && tidegate_host::has_outgrown_account(&Pair::of(&arguments.set).name(PARTS[1]))
}

/// The accounts from now on. `before` is one for both.
pub(super) fn accounts(
    site: &Site,
    before: Accounts,
    arguments: &args::ServiceInstall,
    style: Style,
) -> Result<Accounts, Failure> {
    let name = Pair::of(&arguments.set).name(PARTS[1]);
    let own = tidegate_host::usual_service_account(&name);
    let accounts = Accounts { proxy: own.clone(), ..before.clone() };
    tidegate_host::make_service_account(&own).map_err(failed)?;
    let obstacle = match arguments.keep_permissions && !arguments.all {
        true => Some(format!("its files cannot become {own}'s with --keep-permissions; leave that out, {NEXT}")),
        false => obstacle(site, &accounts),
    };
    match obstacle {
        Some(why) => {
            eprintln!("{} {name} stays under {}: {why}", style.warning("warning:"), before.proxy);
            Ok(before)
        }
        None => {
            println!("{name} runs under {own} from now on, no longer under {}, which is the apps'", before.proxy);
            Ok(accounts)
        }
    }
}

/// The first thing that the proxy's account could not read, also after what is the site's was handed over to it.
fn obstacle(site: &Site, accounts: &Accounts) -> Option<String> {
    let proxy = &accounts.proxy;
    let refused = |path: &Path| path.exists() && accounts.may_use(proxy, path, false) == Some(false);
    let kept = places(site, accounts);
    let secrets = kept.iter().filter(|place| place.rule.readers.contains(proxy));
    for place in secrets.filter(|place| refused(&place.path)) {
        let may_pass = place.path.parent().is_none_or(|above| machine::may_pass(proxy, &accounts.server, above));
        if !(may_pass && access::is_handed_over(&place.path, &place.rule).unwrap_or_default()) {
            return Some(unreadable(proxy, &place.path));
        }
    }
    for file in site.log.files().into_iter().filter(|file| Some(file) != site.log.file_of(PARTS[0]).as_ref()) {
        // What is in its own directories becomes its own.
        let Some(directory) = Writable::of(site).others.into_iter().find(|other| file.parent() == Some(other)) else {
            continue;
        };
        let refused = |path: &Path| path.exists() && accounts.may_use(proxy, path, true) == Some(false);
        if refused(&directory) || refused(&file) {
            let advice = writable::advice(site, &directory, proxy);
            return Some(format!("{proxy} may not write {}: {advice}, {NEXT}", file.display()));
        }
    }
    let is_kept = |path: &Path| kept.iter().any(|place| place.path == path);
    let needs = needs::of_proxy(site);
    let read = needs.iter().filter(|(path, write)| !**write && !is_kept(path)).map(|(path, _)| *path);
    read.filter(|path| refused(path)).map(|path| unreadable(proxy, path)).next()
}

fn unreadable(account: &str, path: &Path) -> String {
    let grant = machine::grant_command(path, account, false);
    format!("{account} may not read {}: let it, for instance by {grant}, {NEXT}", path.display())
}
