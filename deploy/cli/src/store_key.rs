//! Who may use the private keys of the Windows certificate store: the proxy's account has to. Called where certificates are
//! imported, services installed and sites examined. Never decides that a failure is one: a site may be served without
//! services.

use std::io;

use tidegate_host::certificate_store::{self, Location, StoreName};
use tidegate_site::{CertificateSource, Site, StorePick};

use crate::args::ServiceSet;
use crate::service::PARTS;
use crate::style::Style;

/// A certificate that the site file names in a store.
pub(crate) struct Named<'a> {
    pub(crate) store: &'a StoreName,
    pub(crate) pick: &'a StorePick,
}

/// Every certificate of a site that is in the machine's stores. Those of an account's own store are that account's anyway.
pub(crate) fn named(site: &Site) -> impl Iterator<Item = Named<'_>> {
    site.certificates.iter().filter_map(|certificate| match &certificate.source {
        CertificateSource::Store { store, pick } if store.location == Location::LocalMachine => {
            Some(Named { store, pick })
        }
        _ => None,
    })
}

/// The account of the proxy's service of a set; the one that it will have if it is not installed.
pub(crate) fn proxy_account(set: &ServiceSet) -> String {
    let [_, proxy] = PARTS.map(|part| tidegate_host::service_name(&set.name, part));
    let installed = tidegate_host::service_settings(&proxy).ok().flatten();
    installed.map_or_else(|| tidegate_host::usual_service_account(&proxy), |settings| settings.account)
}

/// Lets an account use the keys of all certificates that a site has in the machine's stores, and says so.
pub(crate) fn grant_all(site: &Site, account: &str, style: Style) {
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    for Named { store, pick } in named(site) {
        match tidegate_certs::pick_from_windows_store(store, pick, now) {
            Ok(thumbprint) => grant(store, &thumbprint, account, style),
            Err(error) => eprintln!("{} {error}", style.warning("warning:")),
        }
    }
}

/// Lets an account use one key, and says what was done or what is left to do.
pub(crate) fn grant(store: &StoreName, thumbprint: &str, account: &str, style: Style) {
    match certificate_store::grant_key(store, thumbprint, account) {
        Ok(changed) => {
            let already = if changed.is_none() { "already" } else { "now" };
            println!("private key of {thumbprint}: {account} may use it {already}");
            if let Some(changed) = changed {
                println!("  its access list: {}; before: {}", changed.after, changed.before);
            }
        }
        Err(error) => eprintln!("{}", refused(thumbprint, account, &error, style)),
    }
}

fn refused(thumbprint: &str, account: &str, error: &io::Error, style: Style) -> String {
    let (warning, next) = (style.warning("warning:"), style.quiet("next:   "));
    format!("{warning} private key of {thumbprint}: {account} may not use it yet: {error}\n{next} {}", by_hand(account))
}

/// How an administrator does it with Windows' own means.
pub(crate) fn by_hand(account: &str) -> String {
    format!("certlm.msc, the certificate, All Tasks, Manage Private Keys: add {account} with Read")
}

/// Whether an account may use a key, in words that go behind the key.
pub(crate) fn words(account: &str, may_use: &io::Result<Option<bool>>) -> String {
    match may_use {
        Ok(Some(true)) => format!("{account} may use it"),
        Ok(Some(false)) => format!("{account} may not use it"),
        Ok(None) => format!("unknown whether {account} may use it: its groups are not looked at"),
        Err(error) => format!("unknown whether {account} may use it: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_granted_has_a_next_step() {
        let error = io::Error::new(io::ErrorKind::Unsupported, "its key is kept by a provider from before CNG");
        let said = refused("AB12", r"NT SERVICE\TidegateProxy", &error, Style::plain());
        assert_eq!(
            said,
            "warning: private key of AB12: NT SERVICE\\TidegateProxy may not use it yet: its key is kept by a provider from \
             before CNG\nnext:    certlm.msc, the certificate, All Tasks, Manage Private Keys: add NT SERVICE\\TidegateProxy \
             with Read"
        );
    }

    #[test]
    fn whether_an_account_may_is_never_guessed() {
        for (may_use, expected) in [
            (Ok(Some(true)), "A may use it"),
            (Ok(Some(false)), "A may not use it"),
            (Ok(None), "unknown whether A may use it: its groups are not looked at"),
            (Err(io::Error::other("x")), "unknown whether A may use it: x"),
        ] {
            assert_eq!(words("A", &may_use), expected);
        }
    }
}
